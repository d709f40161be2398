"""The embedded stack as a user runs it: in a checkout whose path has spaces, on free ports, as root and not."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deploy.compose import make_secrets
from deploy.embedded import health, objectstore, ports
from deploy.embedded.temporary_servers import ROOT, free_ports

NOBODY = 65534
STORES = ("postgres", "valkey", "minio")
AIRFLOW = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
PORT_SETTINGS = list(dict.fromkeys(port.setting for port in ports.PORTS))


@dataclass(frozen=True)
class Checkout:
    """A copy of what the stack needs, with ports of its own."""

    root: Path
    ports: dict[str, int]
    user: tuple[str, ...]  # what a command is prefixed with to run as the user of this checkout

    def stack(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return self.run("deploy.embedded.stack", *arguments, **settings)

    def run(self, module: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        command = [*self.user, ".venvs/embedded/bin/python", "-m", module, *arguments]
        outside = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        return subprocess.run(command, cwd=self.root, env={**outside, **settings}, capture_output=True, text=True, check=False, timeout=400)

    def up(self, *services: str) -> None:
        answer = self.stack("up", *services)
        assert answer.returncode == 0, answer.stdout + answer.stderr

    def pids(self) -> dict[str, int]:
        """The process of each service that runs, as `status` tells."""
        lines = [line.split() for line in self.stack("status").stdout.splitlines()[1:]]
        return {fields[0]: int(fields[4]) for fields in lines if fields[1] == "running"}

    def processes(self) -> "list[psutil.Process]":
        """All processes that work in this checkout, however they were started."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.root) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    with _checkout(tmp_path / "a folder with spaces" / "hearth", ()) as made:
        yield made


@contextlib.contextmanager
def _checkout(root: Path, user: tuple[str, ...]) -> Iterator[Checkout]:
    shutil.copytree(ROOT / "deploy/embedded", root / "deploy/embedded")
    for path in (ROOT / ".env", ROOT / "supervisord.conf", *(ROOT / "deploy").glob("*.py")):
        shutil.copy(path, root / path.relative_to(ROOT))
    for name in ("logs", "tracing"):  # what MLflow's environment has of the package, as its image
        shutil.copytree(ROOT / "src/hearth" / name, root / "src/hearth" / name)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "src/hearth" / name, root / "src/hearth" / name)
    (root / ".venvs").symlink_to(ROOT / ".venvs")
    (root / "airflow/dags").mkdir(parents=True)
    numbers = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS), with_grpc=True), strict=True))
    (root / ".env.local").write_text("".join(f"{name}={number}\n" for name, number in numbers.items()), encoding="utf-8")
    made = Checkout(root, numbers, user)
    try:
        yield made
    finally:
        made.stack("down")
        for process in made.processes():  # what a failed test shows must not stay
            process.kill()
        for path in objectstore.stale_sockets(numbers.values()):
            path.unlink()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def ask_valkey(port: int, command: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(command + b"\r\n")
        return connection.recv(100)


def test_the_stores_come_up_healthy_keep_their_data_and_leave_nothing_behind(checkout: Checkout) -> None:
    redis = checkout.ports["HEARTH_REDIS_PORT"]
    checkout.up(*STORES)
    assert health.postgres_accepts(checkout.ports["HEARTH_POSTGRES_PORT"])
    assert set(checkout.pids()) == set(STORES)
    assert ask_valkey(redis, b"SET greeting hello") == b"+OK\r\n"

    down = checkout.stack("down")

    assert down.returncode == 0, down.stderr
    assert checkout.processes() == []
    assert all(is_free(port) for port in checkout.ports.values())
    assert not list(checkout.root.rglob("*.sock"))
    checkout.up("valkey")
    assert b"hello" in ask_valkey(redis, b"GET greeting")


def test_up_a_second_time_starts_only_what_is_missing(checkout: Checkout) -> None:
    checkout.up("valkey")
    before = checkout.pids()

    checkout.up("valkey", "postgres")

    after = checkout.pids()
    assert set(after) == {"valkey", "postgres"}
    assert after["valkey"] == before["valkey"]


def test_a_taken_port_is_named_and_nothing_starts(checkout: Checkout) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", checkout.ports["HEARTH_S3_PORT"]))
        other.listen()

        answer = checkout.stack("up", *STORES)

    assert answer.returncode == 1
    for part in (str(checkout.ports["HEARTH_S3_PORT"]), "minio", "HEARTH_S3_PORT", f"pid {os.getpid()}"):
        assert part in answer.stderr
    assert checkout.processes() == []
    assert all(is_free(port) for port in checkout.ports.values())


def test_a_service_that_ends_stops_the_start_and_shows_its_last_words(checkout: Checkout) -> None:
    file = checkout.root / "supervisord.conf"
    configuration = file.read_text(encoding="utf-8")
    broken = configuration.replace("-m deploy.embedded.valkey", """-c "raise SystemExit('the disk is on fire')" """)
    file.write_text(broken, encoding="utf-8")

    answer = checkout.stack("up", *STORES)

    assert answer.returncode == 1
    for part in ("valkey: ended instead of becoming healthy", "the disk is on fire", str(checkout.root / ".hearth/logs/valkey.log")):
        assert part in answer.stderr
    assert checkout.processes() == []


def test_a_service_that_is_not_installed_stops_the_start_and_says_what_to_do(checkout: Checkout) -> None:
    file = checkout.root / "supervisord.conf"
    file.write_text(file.read_text(encoding="utf-8").replace(".venvs/mlflow/bin/python", ".venvs/nowhere/bin/python"), encoding="utf-8")

    answer = checkout.stack("up", "mlflow")

    assert answer.returncode == 1
    assert ".venvs/nowhere/bin/python" in answer.stderr
    assert "make setup" in answer.stderr
    assert checkout.processes() == []


def test_a_service_that_fails_later_does_not_take_down_what_ran_before(checkout: Checkout) -> None:
    checkout.up("valkey")
    unfinished = checkout.root / ".hearth/postgres"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("1", encoding="utf-8")  # a cluster that no PostgreSQL of today opens

    answer = checkout.stack("up", "postgres")

    assert answer.returncode == 1
    assert set(checkout.pids()) == {"valkey"}


def test_a_service_that_is_killed_comes_back(checkout: Checkout) -> None:
    checkout.up("valkey")
    before = checkout.pids()["valkey"]

    os.kill(before, signal.SIGKILL)

    assert checkout.stack("wait", "valkey", "--seconds", "20").returncode == 0
    assert checkout.pids()["valkey"] != before


def test_down_finds_what_a_killed_supervisord_has_left_behind(checkout: Checkout) -> None:
    checkout.up(*STORES)
    os.kill(int((checkout.root / ".hearth/supervisord.pid").read_text(encoding="utf-8")), signal.SIGKILL)
    assert checkout.processes() != []

    answer = checkout.stack("down")

    assert answer.returncode == 0, answer.stderr
    assert checkout.processes() == []
    assert all(is_free(port) for port in checkout.ports.values())


def test_up_after_a_killed_supervisord_starts_anew(checkout: Checkout) -> None:
    checkout.up("postgres", "valkey")
    before = checkout.pids()
    os.kill(int((checkout.root / ".hearth/supervisord.pid").read_text(encoding="utf-8")), signal.SIGKILL)

    checkout.up("postgres", "valkey")

    assert not before.items() & checkout.pids().items()


def test_settings_that_changed_under_a_running_stack_are_refused_by_name(checkout: Checkout) -> None:
    checkout.up("valkey")

    answer = checkout.stack("up", "postgres", HEARTH_POSTGRES_USER="somebody")

    assert answer.returncode == 1
    assert "HEARTH_POSTGRES_USER" in answer.stderr


def test_production_starts_nothing_with_laptop_secrets_or_without_logins(checkout: Checkout) -> None:
    answer = checkout.stack("up", "valkey", HEARTH_ENVIRONMENT="production")

    assert answer.returncode == 1
    for part in ("still hold a laptop value", "HEARTH_S3_SECRET_KEY", "ask nobody for a login", "valkey (HEARTH_REDIS_PASSWORD)"):
        assert part in answer.stderr
    assert checkout.processes() == []


def test_production_starts_with_the_secrets_that_the_program_for_them_writes(checkout: Checkout) -> None:
    make_secrets.write(checkout.root / ".env.local", make_secrets.missing_secrets(make_secrets.read_values(ROOT / ".env"), {}))
    production = {"HEARTH_ENVIRONMENT": "production", "HEARTH_API_REQUIRE_KEY": "true", "HEARTH_ALLOW_WITHOUT_LOGIN": "page"}

    answer = checkout.stack("up", *STORES, "mlflow", **production)

    assert answer.returncode == 0, answer.stderr
    local = make_secrets.read_values(checkout.root / ".env.local")
    redis, mlflow = checkout.ports["HEARTH_REDIS_PORT"], f"http://127.0.0.1:{checkout.ports['HEARTH_MLFLOW_PORT']}"
    assert ask_valkey(redis, b"GET greeting").startswith(b"-NOAUTH")
    assert health.valkey_answers(redis, local["HEARTH_REDIS_PASSWORD"])
    login = {"HEARTH_MLFLOW_USER": "hearth", "HEARTH_MLFLOW_PASSWORD": local["HEARTH_MLFLOW_PASSWORD"]}
    assert health.mlflow_ok(mlflow, login)
    assert not health.mlflow_ok(mlflow, {})


def test_status_and_other_programs_know_the_settings_that_the_stack_was_started_with(checkout: Checkout) -> None:
    [port] = free_ports(1)
    assert checkout.stack("up", "valkey", HEARTH_REDIS_PORT=str(port)).returncode == 0

    assert re.search(rf"valkey +running +yes +{port} ", checkout.stack("status").stdout)
    assert f":{port}/0" in checkout.run("deploy.embedded.run", "env").stdout


@pytest.mark.parametrize("command", ["up", "wait", "logs"])
def test_an_unknown_service_is_answered_with_the_names_of_all(checkout: Checkout, command: str) -> None:
    answer = checkout.stack(command, "minioo")

    assert answer.returncode == 1
    assert "There is no service 'minioo'" in answer.stderr
    assert "stream_worker" in answer.stderr


def test_logs_show_what_a_service_wrote(checkout: Checkout) -> None:
    checkout.up("valkey")

    assert "Ready to accept connections" in checkout.stack("logs", "valkey").stdout


def test_a_log_that_is_followed_ends_quietly_when_its_reader_leaves(checkout: Checkout) -> None:
    """`logs valkey -f | head -1`, while the service writes nothing more."""
    checkout.up("valkey")
    command = [".venvs/embedded/bin/python", "-m", "deploy.embedded.stack", "logs", "valkey", "--follow"]
    with subprocess.Popen(command, cwd=checkout.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()

        process.stdout.close()

        assert process.stderr.read() == b""
        assert process.wait(30) in {0, -signal.SIGPIPE}


def test_down_is_fine_when_nothing_runs(checkout: Checkout) -> None:
    assert checkout.stack("down").returncode == 0


def test_clean_removes_the_state_but_nothing_else_of_a_folder_that_is_shared(checkout: Checkout) -> None:
    shared = checkout.root / "shared"
    checkout.stack("up", "valkey", HEARTH_STATE_DIR="shared")
    (shared / "thesis.txt").touch()

    assert checkout.stack("clean", HEARTH_STATE_DIR="shared").returncode == 0

    assert (shared / "thesis.txt").exists()
    assert not (shared / "valkey").exists()
    assert checkout.processes() == []


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become another user, with setpriv")
def test_a_normal_user_gets_the_same_stack_as_root(tmp_path: Path) -> None:
    # The capability stands for the rights that such a user has in a checkout of its own; this one may lie in a folder of root.
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=+dac_override")
    with _checkout(tmp_path / "of nobody", (*user, "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup")) as checkout:
        for path in (checkout.root, *checkout.root.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

        checkout.up(*STORES)

        assert {psutil.Process(pid).uids().effective for pid in checkout.pids().values()} == {NOBODY}
        assert checkout.stack("down").returncode == 0
        assert checkout.processes() == []


@pytest.mark.timeout(900)  # Airflow and MLflow need a minute on a machine that is busy with other things
def test_airflow_and_mlflow_come_up_listen_on_this_machine_only_and_leave_nothing_behind(checkout: Checkout) -> None:
    checkout.up("mlflow", *AIRFLOW)

    url = f"http://127.0.0.1:{checkout.ports['HEARTH_AIRFLOW_PORT']}"
    assert health.airflow_unhealthy(url, ["metadatabase", "scheduler", "dag_processor", "triggerer"]) == []
    addresses = {c.laddr.ip for process in checkout.processes() for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}

    assert checkout.stack("down").returncode == 0
    assert checkout.processes() == []
    assert all(is_free(port) for port in checkout.ports.values())
