"""The main job, end to end: start the embedded stack, upload data, run ETL and trainings, predict. Prints the time of each step."""

import os
import subprocess
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from hearth.cli.checkout import EMBEDDED, SERVE, Checkout, option
from hearth.cli.tables import make_console, make_table
from hearth.contracts.loading import chosen_contracts

if TYPE_CHECKING:
    from pathlib import Path


def run_demo(checkout: Checkout, dataset: str, trials: int | None, rows: int | None) -> int:
    """Run the steps in order and return 0, or the exit code of the first step that fails; the services keep running.

    Raises:
        HearthError: there is no such data set, or its contract has a mistake; nothing was started.
    """
    chosen_contracts(dataset)
    console = make_console()
    stack, serve = checkout.python(EMBEDDED), checkout.python(SERVE)
    steps: dict[str, list[str | Path]] = {
        "start the stack": [stack, "-m", "deploy.embedded.stack", "up"],
        "upload the raw data": [serve, "-m", "hearth", "data", "upload", "--dataset", dataset, *option("rows", rows)],
        "run the DAGs and use the models": [serve, "-m", "utils.smoke", "--dataset", dataset, *option("trials", trials)],
    }
    seconds: dict[str, float] = {}
    for title, command in steps.items():
        console.rule(f"[bold]{title}", align="left")
        start = time.monotonic()
        code = subprocess.run(command, cwd=checkout.root, check=False).returncode  # noqa: S603 - our own programs
        seconds[title] = time.monotonic() - start
        if code != 0:
            console.print(
                f"[red]The demo stopped at: {title}.[/red] The services keep running: hearth status, hearth doctor, hearth logs SERVICE, "
                "hearth down."
            )
            return code
    console.print(_times_table(seconds))
    console.print(_url_table(os.environ))
    console.print("The stack keeps running. Watch it score: ./hearth logs stream_worker -f    Stop it: ./hearth down")
    return 0


def _times_table(seconds: Mapping[str, float]) -> Table:
    table = make_table("Times", "step", "seconds")
    for title, value in seconds.items():
        table.add_row(title, f"{value:.0f}")
    return table


def _url_table(environment: Mapping[str, str]) -> Table:
    """Return the addresses of all services, with their users and laptop passwords."""
    local = "http://127.0.0.1:{}".format
    airflow = f"{environment['HEARTH_AIRFLOW_USER']} / {environment['HEARTH_AIRFLOW_PASSWORD']}"
    s3 = f"{environment['HEARTH_S3_ACCESS_KEY']} / {environment['HEARTH_S3_SECRET_KEY']}"
    postgres = f"{environment['HEARTH_POSTGRES_USER']} / {environment['HEARTH_POSTGRES_PASSWORD']}"
    table = make_table("Addresses", "service", "address", "user / password")
    table.add_row("The page", local(environment["HEARTH_PAGE_PORT"]), "-")
    table.add_row("API: try a prediction", f"{local(environment['HEARTH_API_PORT'])}/docs", "-")
    table.add_row("gRPC", f"127.0.0.1:{environment['HEARTH_GRPC_PORT']}", "-")
    table.add_row("Airflow", local(environment["HEARTH_AIRFLOW_PORT"]), airflow)
    mlflow = (
        f"{environment['HEARTH_MLFLOW_USER']} / {environment['HEARTH_MLFLOW_PASSWORD']}" if environment["HEARTH_MLFLOW_PASSWORD"] else "-"
    )
    table.add_row("MLflow", f"{local(environment['HEARTH_MLFLOW_PORT'])}/#/models?workflowType=machine_learning", mlflow)
    table.add_row("SeaweedFS (S3, for programs)", environment["HEARTH_S3_ENDPOINT_URL"], s3)
    table.add_row("PostgreSQL", f"127.0.0.1:{environment['HEARTH_POSTGRES_PORT']}", postgres)
    table.add_row("Valkey (Redis)", f"127.0.0.1:{environment['HEARTH_REDIS_PORT']}", environment["HEARTH_REDIS_PASSWORD"] or "-")
    return table
