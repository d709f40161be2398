"""The checkout that a command belongs to, and its environments: one for the services, one for Airflow, one for the embedded stack."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hearth.cli.application import CommandError

SERVE, AIRFLOW, MLFLOW, EMBEDDED = ENVIRONMENTS = ("serve", "airflow", "mlflow", "embedded")
_MARKS = ("supervisord.conf", "deploy/embedded/stack.py")


@dataclass(frozen=True)
class Checkout:
    """A folder with the source of Hearth."""

    root: Path

    def folder(self, environment: str) -> Path:
        """Return the folder of an environment, whether or not it is there."""
        return self.root / ".venvs" / environment

    def python(self, environment: str) -> Path:
        """Return the Python of an environment.

        Raises:
            CommandError: the environment is not installed.
        """
        python = self.folder(environment) / "bin/python"
        if not python.exists():
            raise CommandError(f"The environment {environment!r} of {self.root} is not installed: run `make setup` there.")
        return python


def find_checkout(start: Path | None = None) -> Checkout | None:
    """Return the checkout around `start` (default: the working directory), else the one that this package is installed from."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if all((folder / mark).is_file() for mark in _MARKS):
            return Checkout(folder)
    return None


def require_checkout(command: str) -> Checkout:
    """Return the checkout.

    Raises:
        CommandError: there is none.
    """
    if checkout := find_checkout():
        return checkout
    raise CommandError(f"`hearth {command}` needs a checkout of Hearth: run it in one. An installed package holds no stack.")


def enter(environment: str) -> None:
    """Continue this command in an environment of the checkout, with the settings of its stack.

    Return where it runs there already, and outside a checkout: then the environment and the settings are those of this process.

    Raises:
        CommandError: the environment is not installed.
    """
    checkout = find_checkout()
    if checkout is None:
        return
    python = checkout.python(environment)
    has_settings = os.environ.get("HEARTH_ROOT") == str(checkout.root)  # deploy/embedded/environment.py sets it
    if has_settings and Path(sys.prefix).samefile(checkout.folder(environment)):
        return
    command: list[str | Path] = [python, "-P", "-m", "hearth", *sys.argv[1:]]
    if has_settings:
        become(command)
    become([checkout.python(EMBEDDED), "-P", "-m", "deploy.embedded.run", *command], python_path=checkout.root)


def become(command: Sequence[str | Path], *, python_path: Path | None = None, folder: Path | None = None) -> NoReturn:
    """Replace this process by a program, which gets its signals and gives its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    if folder:
        os.chdir(folder)
    environment = {**os.environ, **({"PYTHONPATH": str(python_path)} if python_path else {})}
    os.execve(command[0], [str(part) for part in command], environment)  # noqa: S606 - no shell is wanted


def option(name: str, value: object) -> Iterable[str]:
    """Return the words that hand an option on to another program; none for an option without a value."""
    return () if value is None else (f"--{name}", str(value))
