"""Shared by the launchers: settings from the environment, folders for sockets, and becoming the server."""

import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

GRPC_OFFSET = 10_000  # each SeaweedFS component listens on its port and on this much above it
HIGHEST_PORT = 65_535
_SOURCE = Path(__file__).resolve().parents[2] / "src"  # the environment of the launchers has no package of ours
_SOCKET_DIR_BYTES = 70  # a socket's path has at most 104 bytes on macOS; supervisord adds its pid to a name


class SettingError(Exception):
    """A setting is missing or cannot be used; the message names it and says what to do."""


def setting(name: str) -> str:
    """Return a required setting.

    Raises:
        SettingError: it is not set.
    """
    value = os.environ.get(name, "")
    if not value:
        raise SettingError(f"{name} is not set: .env holds a value for it; start programs of the stack with `hearth up`.")
    return value


def port_setting(name: str) -> int:
    """Return a port number.

    Raises:
        SettingError: it is not a number from 1 to 65535.
    """
    value = setting(name)
    if not value.isdecimal() or not 1 <= int(value) <= HIGHEST_PORT:
        raise SettingError(f"{name}={value} is not a port: give a number from 1 to {HIGHEST_PORT}.")
    return int(value)


def state_dir() -> Path:
    """Return the absolute folder for all files of the servers."""
    return Path(os.environ.get("HEARTH_STATE_DIR") or ".hearth").absolute()


def socket_dir(state: Path) -> Path:
    """Return the folder for Unix sockets: the state folder, or if its path is too long for them, a private one named after it."""
    if len(os.fsencode(state)) <= _SOCKET_DIR_BYTES:
        return state
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    return Path(tempfile.gettempdir(), f"hearth-{os.geteuid()}-{name}")


def make_socket_dir(state: Path) -> Path:
    """Make and return the folder for Unix sockets.

    Raises:
        SettingError: it belongs to another user.
    """
    folder = socket_dir(state)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise SettingError(f"{folder} belongs to another user, but the sockets of this stack must go there: remove it.")
    return folder


def remove_sockets(state: Path) -> None:
    """Remove the sockets of ended servers, and the private folder if there is one."""
    folder = socket_dir(state)
    for file in folder.glob("*.sock"):
        file.unlink(missing_ok=True)
    if folder != state and folder.exists():
        folder.rmdir()


def refuse(service: str, error: SettingError) -> NoReturn:
    """End with code 1 and a line of the log that says why, in the form of all other logs."""
    sys.path.append(str(_SOURCE))
    from hearth.logs import configure_logging  # noqa: PLC0415 - found by the line above

    configure_logging(service, form=os.environ.get("HEARTH_LOG_FORMAT") or "text")
    logging.getLogger("launcher").critical("%s", error)
    sys.exit(1)


def become(command: Sequence[str | Path], extra_environment: dict[str, str] | None = None) -> NoReturn:
    """Replace this process by the server, so that its pid is the server's and signals reach it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], [str(part) for part in command], {**os.environ, **(extra_environment or {})})  # noqa: S606 - no shell is wanted
