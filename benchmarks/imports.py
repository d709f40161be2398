"""What a REST process imports before it has a model: memory and processor time, library by library: `python -m benchmarks.imports`.

Each step imports what the steps before have not. The garbage collector is off, as it is in a service that starts.
"""

import gc
import importlib
import resource
import time
from pathlib import Path

from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table

_STEPS = (
    ("numpy", "numpy"),
    ("pandas, with pyarrow", "pandas"),
    ("scipy.stats, which scikit-learn imports", "scipy.stats"),
    ("scikit-learn", "sklearn.calibration"),
    ("LightGBM", "lightgbm"),
    ("numba, with llvmlite", "numba"),
    ("skops", "skops.io"),
    ("MLflow's client", "mlflow.sklearn"),
    ("Redis' client", "redis"),
    ("psycopg", "psycopg"),
    ("boto3", "boto3"),
    ("FastAPI and Strawberry", "strawberry.fastapi"),
    ("Hearth", "hearth_api.app"),
)


def main() -> None:
    """Import what a REST process imports, and print what each library takes."""
    gc.disable()
    table = make_table("Imports of a REST process", "what", "MB", "MB in all", "seconds of the processor")
    for what, name in _STEPS:
        memory, started = _megabytes(), time.process_time()
        importlib.import_module(name)
        after = _megabytes()
        table.add_row(what, f"{after - memory:.0f}", f"{after:.0f}", f"{time.process_time() - started:.2f}")
    make_console().print(table)


def _megabytes() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    run_program(main)
