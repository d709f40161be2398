"""Secrets that are rotated on real servers: PostgreSQL, Valkey, and supervisord with programs of a checkout."""

import os
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from deploy.embedded import temporary_servers
from deploy.rotation.servers import ServerRefused, add_password

ROOT = temporary_servers.ROOT
NEW, NEWER = 'a-new "pass\'word" % \\ $', "a-newer-password"


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
