"""MLflow's own garbage collection: what was in MLflow's trash for long enough goes for good, with its files.

`mlflow gc` needs MLflow's database and the whole of MLflow, which processes of Hearth do not have. Where HEARTH_MLFLOW_PYTHON names a
Python that has both, it is run there; elsewhere somebody else runs it (in Compose: `make compose-housekeeping`).
"""

import logging
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from hearth.errors import RegistryError
from hearth.housekeeping.report import REMOVED, SKIPPED, Item
from hearth.settings import HousekeepingSettings

_LOGGER = logging.getLogger(__name__)
_DELETED = re.compile(r"^(?P<kind>Run|Logged model|Experiment) with ID (?P<id>\S+) has been permanently deleted", re.MULTILINE)
_SECONDS = 3_600
# Its option for the database has no variable, and an argument would be seen by everybody on the machine, password and all.
_PROGRAM = """
import os, sys
from mlflow.cli import gc
gc.main(["--backend-store-uri", os.environ["MLFLOW_BACKEND_STORE_URI"], "--older-than", sys.argv[1]], prog_name="mlflow gc")
"""
_LAST_LINES = 5


def collect_garbage(settings: HousekeepingSettings, older_than_days: float, environment: Mapping[str, str] | None = None) -> Iterator[Item]:
    """Run `mlflow gc`; `environment` has MLFLOW_BACKEND_STORE_URI.

    Raises:
        RegistryError: it ended with an error, or not in an hour. What it has deleted until then is gone; the next pass goes on.
    """
    if not settings.mlflow_python:
        yield Item("MLflow's trash", "", SKIPPED, "HEARTH_MLFLOW_PYTHON is not set: `mlflow gc` empties it")
        return
    command = [settings.mlflow_python, "-P", "-c", _PROGRAM, f"{older_than_days:.6f}d"]
    variables = {
        **(os.environ if environment is None else environment),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,  # deletes files through the server, which has the keys of the store
        "MLFLOW_TRACKING_USERNAME": settings.mlflow_user,
        "MLFLOW_TRACKING_PASSWORD": settings.mlflow_password.get_secret_value(),
    }
    if not settings.mlflow_password.get_secret_value():
        variables = {name: value for name, value in variables.items() if not name.startswith("MLFLOW_TRACKING_USERNAME")}
        del variables["MLFLOW_TRACKING_PASSWORD"]
    try:
        ended = subprocess.run(  # noqa: S603 - the settings say which Python
            command, env=variables, cwd=Path("/"), capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"`mlflow gc` could not be run with HEARTH_MLFLOW_PYTHON={settings.mlflow_python}: {error}") from error
    for found in _DELETED.finditer(ended.stdout):
        what = {"Run": "run", "Logged model": "model"}.get(found["kind"], "experiment")
        _LOGGER.info("the %s %s is gone from MLflow's trash", what, found["id"])
        yield Item(f"{what} in MLflow's trash", found["id"], REMOVED, f"was there for {older_than_days:g} days")
    if ended.returncode:
        last = " / ".join(ended.stderr.strip().splitlines()[-_LAST_LINES:])
        raise RegistryError(f"`mlflow gc` ended with {ended.returncode}: {last}")
