"""Checks before anything starts: secrets and logins in production, and mounted files that cannot be read.

It runs in a container that PostgreSQL, Valkey and the object store wait for: `python -m deploy.compose.preflight`.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.secrets_check import refusals
from hearth.logs import configure_logging

_LOGGER = logging.getLogger(__name__)

# `make secrets` writes the first to .env.local, which docker-compose.yaml always passes to this program. The second has a value only if
# Compose itself has read .env.local.
_IN_FILE, _READ_BY_COMPOSE = "HEARTH_LOCAL_SETTINGS", "COMPOSE_LOCAL_SETTINGS"


def problems(environment: Mapping[str, str], folders: Mapping[str, Path]) -> Iterator[str]:
    """Yield what must be corrected before a start; `folders` are mounted by containers, under the names that users know."""
    yield from refusals(environment)
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
    """Log every problem; 0 if there is none."""
    configure_logging("preflight")
    found = list(problems(os.environ, {"data": Path(os.environ["HEARTH_DATA_DIR"]), "airflow": Path("/opt/airflow")}))
    for problem in found:
        _LOGGER.critical("%s", problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
