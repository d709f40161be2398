"""Write strong values for every secret to `.env.local`, which other users cannot read and git ignores: `make secrets`.

Values that `.env.local` has stay, so it may run again after an update with a new secret. Standard library only.
"""

import base64
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.files import replace_file
from deploy.secrets_check import OPTIONAL_SECRETS, laptop_values, weak_values

_HEADER = """\
# Written by `make secrets`. Never commit it; keep a copy, for the volumes of PostgreSQL are made with these values.
# `make up` and `make compose-up` read it; for a bare `docker compose`, set COMPOSE_ENV_FILES=.env,.env.local in your shell.
HEARTH_LOCAL_SETTINGS=.env.local
"""
_BYTES = 48  # of randomness; 64 characters, as Airflow wants for its tokens
_FERNET_BYTES = 32


def read_values(path: Path) -> dict[str, str]:
    """Return the settings of a file, uninterpolated and without the quotes around them; none if there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): _unquoted(value.strip()) for name, _, value in pairs}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def missing_secrets(committed: Mapping[str, str], local: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that have a laptop value or none, in the order of the committed file."""
    settings = {**committed, **local}
    empty = {name for name in OPTIONAL_SECRETS if not settings.get(name)}
    weak = {*laptop_values(settings), *empty}
    return [name for name in committed if name in weak]


def new_value(name: str) -> str:
    """Make a secret; its characters need no quoting in files and URLs."""
    if name.endswith("FERNET_KEY"):
        return base64.urlsafe_b64encode(secrets.token_bytes(_FERNET_BYTES)).decode()
    return secrets.token_urlsafe(_BYTES)


def write(path: Path, names: Iterable[str]) -> None:
    """Write a new value for each name; an old value is replaced."""
    write_values(path, {name: new_value(name) for name in names})


def write_values(path: Path, values: Mapping[str, str]) -> None:
    """Write these values to a file that only its owner reads, in one step; what else is in it stays."""
    existing = path.read_text(encoding="utf-8") if path.exists() else _HEADER
    lines = [line for line in existing.splitlines() if line.partition("=")[0].strip() not in values]
    replace_file(path, "\n".join([*lines, *(f"{name}={_quoted(value)}" for name, value in values.items()), ""]))


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value  # several keys; they hold neither quotes nor dollar signs


def main() -> int:
    """Write the missing secrets and print their names."""
    path = Path(".env.local")
    committed, local = read_values(Path(".env")), read_values(path)
    names = missing_secrets(committed, local)
    for name, reason in weak_values({**committed, **local}).items():
        print(f"{name} is kept, but can be guessed: it {reason}.", file=sys.stderr)
    if not names:
        print(f"{path} has a value for every secret.")
        return 0
    write(path, names)
    print(f"{path} has new values for {', '.join(names)}.")
    print(
        "A stack that was started before keeps the old values of PostgreSQL's superuser and of Airflow's encryption. See docs/compose.md."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
