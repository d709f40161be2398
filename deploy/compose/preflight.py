"""Checks before anything starts: laptop secrets in production, and mounted files that cannot be read.

It runs in a container that PostgreSQL, Valkey and the object store wait for: `python -m deploy.compose.preflight`.
"""

import base64
import binascii
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

LAPTOP_SECRET = "changethis"  # noqa: S105 - the marker of every secret in the committed .env
LAPTOP_LOGIN = "HEARTH_AIRFLOW_PASSWORD", "airflow"
_LOCAL_ADDRESSES = ("127.0.0.1", "::1", "[::1]", "localhost")

# `make secrets` writes the first to .env.local, which docker-compose.yaml always passes to this program. The second has a value only if
# Compose itself has read .env.local.
_IN_FILE, _READ_BY_COMPOSE = "HEARTH_LOCAL_SETTINGS", "COMPOSE_LOCAL_SETTINGS"


def laptop_values(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that still have the value of the committed .env."""
    return sorted(name for name, value in environment.items() if name.startswith("HEARTH_") and _is_laptop_value(name, value))


def weak_secrets(environment: Mapping[str, str]) -> str:
    """Return why laptop values of secrets must not be used with these settings; empty if they may be."""
    weak = ", ".join(laptop_values(environment))
    address = environment.get("HEARTH_BIND_ADDRESS", "127.0.0.1")
    remedy = "`make secrets` writes strong values to .env.local."
    if weak and environment["HEARTH_ENVIRONMENT"] == "production":
        return f"HEARTH_ENVIRONMENT is 'production', but these still hold a laptop value: {weak}. {remedy}"
    if weak and address not in _LOCAL_ADDRESSES:
        return f"HEARTH_BIND_ADDRESS={address} opens the ports to others, but these still hold a laptop value: {weak}. {remedy}"
    return ""


def problems(environment: Mapping[str, str], folders: Mapping[str, Path]) -> Iterator[str]:
    """Yield what must be corrected before a start; `folders` are mounted by containers, under the names that users know."""
    if problem := weak_secrets(environment):
        yield problem
    if environment.get(_IN_FILE) and not environment.get(_READ_BY_COMPOSE):
        yield (
            "There is an .env.local, but Compose has read .env alone. "
            "Use `make compose-up`, or set COMPOSE_ENV_FILES=.env,.env.local in your shell."
        )
    for name, folder in folders.items():
        hidden = next((path for path in (folder, *folder.rglob("*")) if not os.access(path, os.R_OK)), None)
        if hidden:
            place = Path(name, hidden.relative_to(folder))
            yield f"Containers cannot read {place}: they run as a user of their own. Let others read: chmod -R a+rX {name}"


def main() -> int:
    """Print every problem; 0 if there is none."""
    refusals = list(problems(os.environ, {"data": Path(os.environ["HEARTH_DATA_DIR"]), "airflow": Path("/opt/airflow")}))
    for problem in refusals:
        print(f"preflight: {problem}", file=sys.stderr)
    return 1 if refusals else 0


def _is_laptop_value(name: str, value: str) -> bool:
    if (name, value) == LAPTOP_LOGIN or LAPTOP_SECRET in value:
        return True
    try:
        return LAPTOP_SECRET.encode() in base64.urlsafe_b64decode(value)  # Airflow's Fernet key
    except (binascii.Error, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(main())
