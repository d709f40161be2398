"""The real servers around a measured service."""

import contextlib
import os

import psutil
from dotenv import dotenv_values

from benchmarks.harness.model import DATA
from deploy.embedded.temporary_servers import ROOT, create_database, mlflow, postgres, valkey
from hearth.predictions.migration import migrate

_MEGABYTE = 1e6


def servers(stack: contextlib.ExitStack) -> tuple[dict[str, str], str]:
    """Start MLflow, PostgreSQL and Valkey; return the settings of a Hearth process that uses them, and the tracking URI.

    HEARTH_ variables of the caller win, so that other settings can be measured.
    """
    registry = stack.enter_context(mlflow())
    database = create_database(stack.enter_context(postgres()), "predictions")
    return settings_of(registry, database, stack.enter_context(valkey())), registry


def settings_of(registry: str, database: str, redis: str) -> dict[str, str]:
    """Return the settings of a Hearth process that uses these servers, whose predictions database is migrated."""
    defaults = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None and name.startswith("HEARTH_")}
    settings = {
        **defaults,
        "HEARTH_DATA_DIR": str(DATA),
        "HEARTH_MLFLOW_TRACKING_URI": registry,
        "HEARTH_PREDICTIONS_URL": database,
        "HEARTH_REDIS_URL": redis,
        **{name: value for name, value in os.environ.items() if name.startswith("HEARTH_")},
    }
    migrate(settings["HEARTH_PREDICTIONS_URL"])
    return settings


def memory_megabytes(pid: int) -> float:
    """Return the proportional size of a process and its children, in units of 10^6 bytes."""
    leader = psutil.Process(pid)
    return sum(int(process.memory_full_info().pss) for process in (leader, *leader.children(recursive=True))) / _MEGABYTE
