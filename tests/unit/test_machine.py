"""What the machine lacks is named before anything is installed or started, and uv trusts the certificates that the system trusts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness.load import LoadError, find_wrk, measure

ROOT = Path(__file__).parents[2]
DOCKERFILES = [path for path in sorted((ROOT / "dockerfiles").glob("*/Dockerfile")) if "uv/bin/uv" in path.read_text("utf-8")]
_PRINT = "--eval=printed: ; @echo $$UV_SYSTEM_CERTS"


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "MAKE", "MFLAGS"))}
    command = ["make", "--silent", *arguments]
    return subprocess.run(command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=False)


@pytest.fixture
def without_wrk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of programs, all of PATH, with Python and no wrk."""
    (tmp_path / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("without_wrk")
def test_a_benchmark_without_wrk_says_what_to_install() -> None:
    for call in (find_wrk, lambda: measure("http://127.0.0.1:9", [b"{}"], 1)):
        with pytest.raises(LoadError, match="wrk, which puts the load on the service, is not installed: `apt-get install wrk`"):
            call()


@pytest.mark.parametrize("target", ["bench-serving", "bench-soak"])
def test_make_checks_for_wrk_before_it_installs_the_peers(target: str) -> None:
    plan = make("--dry-run", "--always-make", target).stdout.splitlines()

    assert plan[0].endswith("utils/check_machine.py --benchmarks")


def test_the_check_names_what_is_missing(without_wrk: Path) -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "utils/check_machine.py", "--benchmarks"],
        env={"PATH": str(without_wrk)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "This machine lacks wrk, which puts load on a service. Install it:" in ended.stderr


def test_make_has_uv_trust_the_certificates_of_the_system() -> None:
    assert make(_PRINT, "printed").stdout == "true\n"


def test_the_environment_can_say_otherwise() -> None:
    assert make(_PRINT, "printed", UV_SYSTEM_CERTS="false").stdout == "false\n"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_uv_in_an_image_does_too(dockerfile: Path) -> None:
    assert "UV_SYSTEM_CERTS=true" in dockerfile.read_text("utf-8")


def test_the_pinned_uv_knows_the_variable() -> None:
    uv = ROOT / ".venvs/uv/bin/uv"
    assert "UV_SYSTEM_CERTS" in subprocess.run([uv, "pip", "install", "--help"], capture_output=True, text=True, check=True).stdout


def test_a_data_set_that_does_not_exist_is_refused_before_anything_is_installed() -> None:
    for target in ("demo", "smoke", "upload", "data"):
        plan = make("--dry-run", "--always-make", target, "DATASET=heart,hart").stdout.splitlines()
        assert "There is no data set hart in data/" in plan[0], target

    refused = make("known-dataset", "DATASET=heart,hart")
    assert refused.returncode == 2
    assert "There is no data set hart in data/; there are: covertype employees heart." in refused.stderr


@pytest.mark.parametrize("names", ["all", "heart", "heart,employees", ""])
def test_data_sets_that_exist_are_accepted(names: str) -> None:
    assert make("known-dataset", f"DATASET={names}").returncode == 0


def test_the_folder_of_data_sets_is_that_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "tumours").mkdir()
    (tmp_path / "tumours/contract.yaml").touch()

    assert make("known-dataset", "DATASET=tumours", HEARTH_DATA_DIR=str(tmp_path)).returncode == 0
    assert make("known-dataset", "DATASET=heart", HEARTH_DATA_DIR=str(tmp_path)).returncode == 2
