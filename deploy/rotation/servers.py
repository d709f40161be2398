"""Tell running servers a new secret. Each call may be made again: one that was interrupted is simply repeated."""

import os
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.embedded.postgres import binaries

_SECONDS = 10.0
_ALTER_ROLE = r"""
\getenv password HEARTH_NEW_PASSWORD
SELECT format('ALTER ROLE %I PASSWORD %L', :'role', :'password') \gexec
"""
_AIRFLOW_PYTHON = Path(".venvs/airflow/bin/python")


class ServerRefused(Exception):
    """A server does not take a new secret; the message has its reason."""


def alter_role(port: int, superuser: str, passwords: Iterable[str], role: str, password: str) -> None:
    """Give a role of PostgreSQL a password. `passwords` may be those of the superuser: which one holds depends on how far a rotation came.

    Raises:
        ServerRefused: the server is away, or takes none of the passwords.
    """
    options = ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", f"--set=role={role}"]
    command: list[str | Path] = [binaries() / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", superuser, "-d", "postgres", *options]
    reason = "no password was given"
    for candidate in dict.fromkeys(passwords):
        environment = {**os.environ, "PGPASSWORD": candidate, "HEARTH_NEW_PASSWORD": password, "PGCONNECT_TIMEOUT": str(int(_SECONDS))}
        done = subprocess.run(command, input=_ALTER_ROLE, text=True, env=environment, capture_output=True, check=False)
        if done.returncode == 0:
            return
        reason = done.stderr.strip().replace(password, "…")
    raise ServerRefused(f"PostgreSQL does not change the password of {role}: {reason}")


def add_password(port: int, passwords: Iterable[str], password: str) -> None:
    """Have Valkey take a further password, beside those that it takes; it forgets them when it starts again.

    Raises:
        ServerRefused: the server is away, or takes none of `passwords`.
    """
    reason = "no password was given"
    for candidate in dict.fromkeys(passwords):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection, connection.makefile("rb") as answers:
                connection.sendall(_command("AUTH", candidate))
                if (reason := answers.readline().decode(errors="replace").strip()) != "+OK":
                    continue
                connection.sendall(_command("ACL", "SETUSER", "default", f">{password}"))
                if (reason := answers.readline().decode(errors="replace").strip()) == "+OK":
                    return
        except OSError as error:
            reason = str(error)
    raise ServerRefused(f"Valkey takes no further password: {reason}")


def encrypt_anew(environment: Mapping[str, str], new: str, old: str) -> None:
    """Have what Airflow has encrypted with the old Fernet key encrypted with the new one.

    Raises:
        ServerRefused: Airflow's command failed.
    """
    command: list[str | Path] = [_AIRFLOW_PYTHON, "-P", "-m", "airflow", "rotate-fernet-key"]
    keys = {"AIRFLOW__CORE__FERNET_KEY": f"{new},{old}"}
    done = subprocess.run(command, env={**environment, **keys}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerRefused(f"`airflow rotate-fernet-key` ended with code {done.returncode}: {done.stderr.strip()[-500:]}")


def _command(*words: str) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
