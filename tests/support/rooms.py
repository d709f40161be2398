"""Which room of the package runs in which environment; docs/architecture.md has the same table."""

import importlib
import pkgutil
from collections.abc import Iterator

EVERYWHERE = (
    "alerts",
    "audit",
    "backup",
    "batch",
    "cards",
    "contracts",
    "errors",
    "executors",
    "fakes",
    "host_names",
    "housekeeping",
    "logs",
    "modelling",
    "monitoring",
    "periodic",
    "predictions",
    "registry",
    "rollouts",
    "settings",
    "storage",
    "tables",
    "tracing",
)
AIRFLOW = ("data", "training", "jobs")
SERVE = ("client", "cli", "serving", "streaming")


def modules_of(room: str) -> Iterator[str]:
    """Yield the names of all modules of a room, but for programs and migration scripts, which do things when they are imported."""
    package = importlib.import_module(f"hearth.{room}")
    yield package.__name__
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), f"{package.__name__}."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            yield module.name
