"""The command `hearth`: its help, its exit codes, and how it finds checkouts and environments."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from hearth.cli import application, checkout
from hearth.cli.app import app
from hearth.errors import HearthError

ROOT = Path(__file__).parents[2]
COMMANDS = [
    *("demo", "up", "down", "status", "logs", "smoke", "clean", "doctor", "data make", "data upload", "tune", "export", "replay"),
    *("store tail", "store prune", "store migrate"),
]


def run(*arguments: str, folder: Path = ROOT, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")} | settings
    command = [sys.executable, "-P", "-m", "hearth", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)


def command_names(command: object = None, prefix: str = "") -> Iterator[str]:
    for name, child in getattr(command or get_command(app), "commands", {}).items():
        if getattr(child, "commands", None):
            yield from command_names(child, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


class TestHelp:
    def test_the_commands_are_those_that_the_documentation_names(self) -> None:
        assert set(COMMANDS) <= set(command_names())

    def test_it_reads_like_a_table_of_contents(self) -> None:
        output = CliRunner().invoke(app, ["--help"]).output

        subjects = [line.rstrip(":") for line in output.splitlines() if line.rstrip(":") in application.SUBJECTS]
        assert subjects == list(application.SUBJECTS)
        assert "Exit codes: 0 it worked, 1 it failed, 2 wrong usage, 130 interrupted." in output
        assert not [line for line in output.splitlines()[1:] if line.endswith("...")], "a summary is cut"

    @pytest.mark.parametrize("command", sorted(command_names()))
    def test_every_command_has_help_and_examples(self, command: str) -> None:
        result = CliRunner().invoke(app, [*command.split(), "--help"])

        assert result.exit_code == 0
        assert f"Examples:\n  hearth {command}" in result.output

    def test_the_version_is_that_of_the_package(self) -> None:
        assert run("--version").stdout.startswith("hearth 0.")

    def test_no_heavy_library_is_imported_for_it(self) -> None:
        code = (
            "import sys; import hearth.cli.app; print([n for n in ('pandas', 'numpy', 'mlflow', 'pydantic', 'rich') if n in sys.modules])"
        )

        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

    def test_shells_can_complete_it(self) -> None:
        result = run(_HEARTH_COMPLETE="complete_bash", COMP_WORDS="hearth do", COMP_CWORD="1")

        assert result.stdout.split() == ["down", "doctor"]


class TestExitCodes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["fly"], "No such command 'fly'"),
            (["logs"], "Missing argument 'SERVICE'"),
            (["export", "--since", "yesterday"], "Invalid value for '--since': expected a date or a moment"),
            (["tune", "heart"], "Missing option '--family'"),
            (["store", "prune"], "give one of --older-than-days and --before"),
        ],
    )
    def test_wrong_usage_is_2(self, arguments: list[str], message: str) -> None:
        result = run(*arguments)

        assert (result.returncode, message in result.stderr) == (2, True), result.stderr

    def test_a_failure_is_1_with_its_reason_and_no_traceback(self, tmp_path: Path) -> None:
        result = run("export", folder=tmp_path, HEARTH_ROOT=str(ROOT), HEARTH_ENVIRONMENT="laptop", HEARTH_DATA_DIR="data")

        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("HEARTH_PREDICTIONS_URL ")
        assert "Traceback" not in result.stderr

    @pytest.mark.parametrize(
        ("error", "code"), [(HearthError("no disk"), 1), (application.CommandError("no disk"), 1), (KeyboardInterrupt(), 130)]
    )
    def test_errors_of_ours_and_interruptions_end_a_program_quietly(
        self, error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail() -> None:
            raise error

        with pytest.raises(SystemExit) as end:
            application.run_program(fail, arguments=[])

        assert end.value.code == code
        assert capsys.readouterr().err == ("no disk\n" if code == 1 else "")

    def test_a_reader_that_leaves_ends_it_quietly(self) -> None:
        """As `hearth … | head` does."""
        code = (
            "import typer\nfrom hearth.cli.application import run_program\n"
            "def f() -> None:\n    while True: typer.echo('x' * 1000)\nrun_program(f)"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout without environments, in a folder with spaces."""
    root = tmp_path / "a folder" / "hearth"
    (root / "deploy/embedded").mkdir(parents=True)
    (root / "data/heart").mkdir(parents=True)
    for name in ("supervisord.conf", "deploy/embedded/stack.py"):
        shutil.copy(ROOT / name, root / name)
    return root


class TestCheckout:
    def test_it_is_found_from_any_folder_inside(self, copy: Path) -> None:
        assert checkout.find_checkout(copy / "data/heart") == checkout.Checkout(copy)

    def test_elsewhere_it_is_the_one_that_the_package_is_installed_from(self, tmp_path: Path) -> None:
        assert checkout.find_checkout(tmp_path) == checkout.Checkout(ROOT)

    @pytest.mark.parametrize(
        "arguments", [["up"], ["status"], ["logs", "fastapi"], ["demo"], ["data", "upload"], ["tune", "heart", "--family", "knn"]]
    )
    def test_a_missing_environment_is_named_and_nothing_is_made(self, copy: Path, arguments: list[str]) -> None:
        before = sorted(copy.rglob("*"))

        result = run(*arguments, folder=copy)

        assert result.returncode == 1
        assert f"of {copy} is not installed: run `make setup` there." in result.stderr
        assert "Traceback" not in result.stderr
        assert sorted(copy.rglob("*")) == before

    @pytest.fixture
    def without(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """An installed package, far from any checkout."""
        monkeypatch.setattr(checkout, "_MARKS", ("no such file",))
        monkeypatch.chdir(tmp_path)

    @pytest.mark.usefixtures("without")
    @pytest.mark.parametrize("arguments", [["up"], ["down"], ["status"], ["logs", "fastapi"], ["clean"], ["smoke"], ["demo"]])
    def test_without_a_checkout_a_command_of_the_stack_says_so_in_one_line(self, arguments: list[str]) -> None:
        result = CliRunner().invoke(app, arguments)

        assert isinstance(result.exception, application.CommandError)
        assert str(result.exception) == (
            f"`hearth {arguments[0]}` needs a checkout of Hearth: run it in one. An installed package holds no stack."
        )

    @pytest.mark.usefixtures("without")
    def test_without_a_checkout_other_commands_stay_in_their_process(self) -> None:
        checkout.enter(checkout.SERVE)

    def test_a_command_goes_to_the_environment_that_it_needs_with_the_settings_of_the_stack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commands: list[list[str]] = []

        def record(program: Path, arguments: list[str], environment: dict[str, str]) -> None:
            commands.append(arguments)
            assert (environment.get("PYTHONPATH") == str(ROOT)) == ("deploy.embedded.run" in arguments)
            raise SystemExit(str(program))

        monkeypatch.setattr(os, "execve", record)
        monkeypatch.setattr(sys, "argv", ["hearth", "tune", "heart"])
        monkeypatch.delenv("HEARTH_ROOT", raising=False)
        for environment, root in ((checkout.SERVE, None), (checkout.AIRFLOW, None), (checkout.AIRFLOW, ROOT)):
            if root:
                monkeypatch.setenv("HEARTH_ROOT", str(root))
            with pytest.raises(SystemExit):
                checkout.enter(environment)

        serve, airflow, embedded = (str(ROOT / f".venvs/{name}/bin/python") for name in ("serve", "airflow", "embedded"))
        command = ["-P", "-m", "hearth", "tune", "heart"]
        through = [embedded, "-P", "-m", "deploy.embedded.run"]
        assert commands == [[*through, serve, *command], [*through, airflow, *command], [airflow, *command]]

    def test_a_command_that_is_where_it_should_be_stays_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEARTH_ROOT", str(ROOT))

        checkout.enter(checkout.SERVE)

    def test_the_launcher_runs_it_through_a_link_from_any_folder(self, tmp_path: Path) -> None:
        link = tmp_path / "hearth"
        link.symlink_to(ROOT / "hearth")

        assert subprocess.run([link, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.startswith("hearth ")

    def test_the_launcher_names_a_missing_environment(self, copy: Path) -> None:
        shutil.copy(ROOT / "hearth", copy)

        result = subprocess.run([copy / "hearth", "--version"], capture_output=True, text=True, check=False)

        assert (result.returncode, "run `make setup`" in result.stderr) == (1, True)
