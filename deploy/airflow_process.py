"""Run a component of Airflow that starts tasks, with the libraries of tasks imported: `python -P deploy/airflow_process.py scheduler`.

A task is a fork of this process (on macOS a new interpreter, which gains nothing). What this process has imported no task imports again:
4 s of processor time each. The order matters. When skops is imported, it looks for the names of 700 functions in every module that was
imported before it, also in Airflow's, where such a look warns and imports more; so the libraries come before Airflow.

Hearth's own modules are not among them: each task reads them anew, so that a change of the code holds from the next task on.
"""

import importlib
import os
import runpy

LIBRARIES = (
    "boto3",
    "matplotlib.figure",
    "mlflow.sklearn",
    "optuna",
    "pandas",
    "psycopg_pool",
    "pyarrow.parquet",
    "pydantic_settings",
    "python_calamine",
    "skops.io",
    "sklearn.calibration",
    "sklearn.ensemble",
    "sklearn.experimental.enable_iterative_imputer",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.neighbors",
    "sklearn.svm",
    "lightgbm",
    "sqlalchemy",
)
# What a task needs of Airflow itself.
TASK_RUNNER = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.python",
)


def main() -> None:
    """Import, then run the command of Airflow that the arguments name."""
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")  # else it writes to standard error, which is an ERROR in a task's log
    for name in (*LIBRARIES, *TASK_RUNNER):
        importlib.import_module(name)
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
