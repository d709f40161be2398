"""The main job, end to end: start the embedded stack, upload data, run ETL and trainings, predict. What `make demo` runs.

Each step is a program that can also be run by itself; the time of each is printed.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from deploy.embedded.environment import load_environment
from deploy.embedded.launcher import SettingError
from utils.console import make_console, make_table

ROOT = Path(__file__).parents[1]
SERVE_PYTHON = ".venvs/serve/bin/python"
EMBEDDED_PYTHON = ".venvs/embedded/bin/python"


def main() -> int:
    """Run the steps in order; the first that fails ends the demo and its status is returned."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--dataset", default="employees", help="one, several such as employees,heart, or all")
    parser.add_argument("--trials", type=int, help="Optuna trials of each training (default: what the DAGs say, 10)")
    parser.add_argument("--rows", type=int, help="rows of demo data to generate where there is no real file")
    options = parser.parse_args()
    console = make_console()
    try:
        environment = load_environment(ROOT, os.environ)
    except SettingError as error:
        console.print(f"[red]{error}[/red]")
        return 1
    smoke = [SERVE_PYTHON, "-m", "utils.smoke", "--dataset", options.dataset]
    upload = [SERVE_PYTHON, "-m", "utils.upload_data", "--dataset", options.dataset]
    steps = {
        "start the stack": [EMBEDDED_PYTHON, "-m", "deploy.embedded.stack", "up"],
        "upload the raw data": upload if options.rows is None else [*upload, "--rows", str(options.rows)],
        "run the DAGs and use the models": smoke if options.trials is None else [*smoke, "--trials", str(options.trials)],
    }
    seconds: dict[str, float] = {}
    for title, command in steps.items():
        console.rule(f"[bold]{title}", align="left")
        started = time.monotonic()
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        seconds[title] = time.monotonic() - started
        if status != 0:
            console.print(
                f"[red]The demo stopped at: {title}.[/red] What runs is left running: make status, make logs S=<service>, make down."
            )
            return status
    console.print(_times_table(seconds))
    console.print(_url_table(environment))
    console.print("The stack keeps running. Watch it score: make logs S=stream_worker FOLLOW=-f    Stop it: make down")
    return 0


def _times_table(seconds: Mapping[str, float]) -> Table:
    table = make_table("Times", "step", "seconds")
    for title, value in seconds.items():
        table.add_row(title, f"{value:.0f}")
    return table


def _url_table(environment: Mapping[str, str]) -> Table:
    """Where everything is, as whom one logs in, and with which laptop password."""
    here = "http://127.0.0.1:{}".format
    api = here(environment["HEARTH_API_PORT"])
    airflow = f"{environment['HEARTH_AIRFLOW_USER']} / {environment['HEARTH_AIRFLOW_PASSWORD']}"
    s3 = f"{environment['HEARTH_S3_ACCESS_KEY']} / {environment['HEARTH_S3_SECRET_KEY']}"
    postgres = f"{environment['HEARTH_POSTGRES_USER']} / {environment['HEARTH_POSTGRES_PASSWORD']}"
    table = make_table("Where things are", "service", "address", "user / password")
    table.add_row("The page", here(environment["HEARTH_PAGE_PORT"]), "-")
    table.add_row("API: try a prediction", f"{api}/docs", "-")
    table.add_row("gRPC", f"127.0.0.1:{environment['HEARTH_GRPC_PORT']}", "-")
    table.add_row("Airflow", here(environment["HEARTH_AIRFLOW_PORT"]), airflow)
    table.add_row("MLflow", here(environment["HEARTH_MLFLOW_PORT"]), "-")
    table.add_row("S3", environment["HEARTH_S3_ENDPOINT_URL"], s3)
    table.add_row("S3 file browser", here(environment["HEARTH_S3_FILER_PORT"]), "-")
    table.add_row("PostgreSQL", f"127.0.0.1:{environment['HEARTH_POSTGRES_PORT']}", postgres)
    table.add_row("Valkey (Redis)", f"127.0.0.1:{environment['HEARTH_REDIS_PORT']}", "-")
    return table


if __name__ == "__main__":
    sys.exit(main())
