"""Secrets that are rotated on real servers: PostgreSQL, Valkey, and supervisord with programs of a checkout."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from deploy.compose.make_secrets import read_values
from deploy.embedded import temporary_servers
from deploy.embedded.environment import load_environment
from deploy.embedded.supervision import Supervisor
from deploy.rotation.embedded import NotHealthy, Rotation, begin
from deploy.rotation.journal import Journal
from deploy.rotation.servers import ServerRefused, add_password

ROOT = temporary_servers.ROOT
NEW, NEWER = 'a-new "pass\'word" % \\ $', "a-newer-password"

PORTS = {"fastapi": "HEARTH_API_PORT", "streamlit": "HEARTH_PAGE_PORT", "exporter": "HEARTH_EXPORTER_PORT"}
PASSWORD = "HEARTH_MLFLOW_PASSWORD"
# A server in place of each service: it notes the password that it was started with, and answers every health check.
PROGRAM = f"""
import os, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
if pathlib.Path(sys.argv[1] + ".refuses").exists():
    sys.exit(1)
pathlib.Path(sys.argv[1] + ".has").write_text(os.environ["{PASSWORD}"])
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(os.environ[sys.argv[2]])), Answer).serve_forever()
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with temporary_servers.postgres() as url:
        yield url


def alter(server: str, passwords: list[str], role: str, password: str) -> "subprocess.CompletedProcess[str]":
    """Call `servers.alter_role` in the environment that has psql."""
    parts = urlsplit(server)
    code = (
        "import os, sys\nfrom deploy.rotation.servers import ServerRefused, alter_role\n"
        "try:\n    alter_role(int(sys.argv[1]), sys.argv[2], os.environ['KNOWN'].split('|'), sys.argv[3], os.environ['NEW'])\n"
        "except ServerRefused as error:\n    sys.exit(str(error))"
    )
    command = [str(temporary_servers.EMBEDDED_PYTHON), "-c", code, str(parts.port), str(parts.username), role]
    environment = {**os.environ, "KNOWN": "|".join(passwords), "NEW": password}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_role_gets_a_new_password_and_its_open_connections_stay(postgres: str) -> None:
    superuser = str(urlsplit(postgres).password)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE ROLE monitor LOGIN PASSWORD 'old-password'")
    with psycopg.connect(postgres, user="monitor", password="old-password", autocommit=True) as open_before:
        for _ in range(2):  # one that was interrupted is repeated
            done = alter(postgres, [superuser], "monitor", NEW)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

        assert open_before.execute("SELECT 1").fetchone() == (1,)
        with psycopg.connect(postgres, user="monitor", password=NEW) as again:
            assert again.execute("SELECT current_user").fetchone() == ("monitor",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(postgres, user="monitor", password="old-password")


def test_the_superuser_is_known_by_its_old_or_its_new_password() -> None:
    with temporary_servers.postgres() as server:
        parts = urlsplit(server)
        old, name = str(parts.password), str(parts.username)
        assert alter(server, [old], name, NEWER).returncode == 0
        assert alter(server, [old, NEWER], name, NEWER).returncode == 0  # it was killed right after this

        refused = alter(server, [old], name, "never")
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"PostgreSQL does not change the password of {name}: ")
        assert "never" not in refused.stderr
        assert old not in refused.stderr


def test_valkey_takes_both_passwords_until_it_starts_again() -> None:
    with temporary_servers.valkey_server("old-password") as server:
        port = int(str(urlsplit(server.url).port))
        with pytest.raises(ServerRefused, match="WRONGPASS"):
            add_password(port, ["guessed"], NEWER)
        for _ in range(2):
            add_password(port, ["old-password", NEWER], NEWER)
        for password in ("old-password", NEWER):
            with redis.Redis(port=port, password=password) as client:
                assert client.ping()
        with redis.Redis(port=port) as nobody, pytest.raises(redis.AuthenticationError):
            nobody.ping()


def test_a_server_that_is_away_is_named() -> None:
    with pytest.raises(ServerRefused, match=r"Valkey takes no further password: .*refused"):
        add_password(temporary_servers.free_port(), ["old"], "new")


def test_the_command_lists_what_becomes_of_every_secret_and_shows_no_value() -> None:
    done = subprocess.run([str(ROOT / "hearth"), "secrets", "list"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "HEARTH_REDIS_PASSWORD\n  starts again: fastapi, grpc" in done.stdout
    assert "HEARTH_BACKUP_KEY\n  is not rotated: older backups" in done.stdout
    assert "changethis" not in done.stdout


def test_a_wrong_name_is_refused_before_anything_is_written() -> None:
    done = subprocess.run(
        [str(ROOT / "hearth"), "secrets", "rotate", "HEARTH_NOTHING"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith("There is no secret 'HEARTH_NOTHING'")
    assert not (ROOT / ".env.local.rotation").exists()


# A rotation that is interrupted: supervisord is real, what it runs is small


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Path]:
    """A checkout whose supervisord runs the services of PORTS, and not fake_data_producer, which reads the same password."""
    (tmp_path / ".venvs").symlink_to(ROOT / ".venvs")
    (tmp_path / ".env").write_bytes((ROOT / ".env").read_bytes())
    numbers = zip(PORTS.values(), temporary_servers.free_ports(len(PORTS)), strict=True)
    (tmp_path / ".env.local").write_text("".join(f"{name}={port}\n" for name, port in numbers) + f"{PASSWORD}=old\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    general = (ROOT / "supervisord.conf").read_text().partition("[program:")[0]
    for name, setting in {**PORTS, "fake_data_producer": "HEARTH_API_PORT"}.items():
        general += f"[program:{name}]\ncommand=.venvs/embedded/bin/python program.py {name} {setting}\n"
        general += "autostart=false\nautorestart=true\nstartretries=0\n\n"
    (tmp_path / "supervisord.conf").write_text(general)
    # By a process of its own, as `hearth up` does: supervisord stays when it ends
    start = "import pathlib, sys\nfrom tests.integration import test_rotation as t\nt.supervisor_of(pathlib.Path(sys.argv[1])).start()"
    subprocess.run([sys.executable, "-c", start, str(tmp_path)], cwd=ROOT, check=True)
    supervisor = supervisor_of(tmp_path)
    try:
        for name in PORTS:
            supervisor.start_program(name)
        wait_for(tmp_path, dict.fromkeys(PORTS, "RUNNING"))
        yield tmp_path
    finally:
        supervisor.shut_down()


def outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}


def supervisor_of(root: Path) -> Supervisor:
    return Supervisor(root, load_environment(root, outside()))


def states(root: Path) -> dict[str, str]:
    return {program.name: program.state for program in supervisor_of(root).programs().values()}


def wait_for(root: Path, expected: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    while not expected.items() <= states(root).items():
        assert time.monotonic() < deadline, states(root)
        time.sleep(0.1)


def rotate(root: Path) -> None:
    """Begin a rotation, or go on with the one that was interrupted."""
    path = root / ".env.local.rotation"
    journal = Journal.read(path) or begin(path, [PASSWORD], {PASSWORD: "new"}, {PASSWORD: "old"})
    Rotation(root, outside(), journal).run()


def assert_rotated(root: Path) -> None:
    assert {name: (root / f"{name}.has").read_text() for name in PORTS} == dict.fromkeys(PORTS, "new")
    assert states(root) == {**dict.fromkeys(PORTS, "RUNNING"), "fake_data_producer": "STOPPED"}  # what did not run before does not now
    assert read_values(root / ".env.local")[PASSWORD] == "new"
    assert supervisor_of(root).changed_settings() == []
    assert not (root / ".env.local.rotation").exists()


@pytest.mark.parametrize(
    ("call", "is_made", "left"),
    [
        (("reloadConfig",), False, {"streamlit": "RUNNING"}),  # the settings are noted, and supervisord knows nothing of them
        (("removeProcessGroup", "fake_data_producer"), True, {"streamlit": "RUNNING", "fake_data_producer": None}),
        (("stopProcess", "streamlit"), True, {"streamlit": "STOPPED"}),
        (("removeProcessGroup", "streamlit"), True, {"streamlit": None}),
        (("addProcessGroup", "streamlit"), True, {"streamlit": "STOPPED"}),
        (("startProcess", "streamlit"), True, {"streamlit": "RUNNING"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_what_an_interrupted_rotation_has_stopped_starts_again_with_the_new_value(
    stack: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[str, ...], is_made: bool, left: dict[str, str | None]
) -> None:
    whole = Supervisor._call

    def interrupted(supervisor: Supervisor, method: str, *arguments: object) -> object:
        is_here = (method, *arguments[:1]) == call
        answer = None if is_here and not is_made else whole(supervisor, method, *arguments)
        if is_here:
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Supervisor, "_call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rotate(stack)
    wait_for(stack, {name: state for name, state in left.items() if state})
    assert not {name for name, state in left.items() if state is None} & states(stack).keys()

    rotate(stack)

    assert_rotated(stack)


def test_a_service_that_did_not_start_with_the_new_value_is_started_again_when_the_rotation_goes_on(stack: Path) -> None:
    (stack / "streamlit.refuses").touch()
    for _ in range(2):  # the second call must not forget it either
        with pytest.raises(NotHealthy, match="streamlit does not start with the new value: `hearth logs streamlit` says why"):
            rotate(stack)
        assert states(stack)["streamlit"] == "FATAL"
    (stack / "streamlit.refuses").unlink()

    rotate(stack)

    assert_rotated(stack)
