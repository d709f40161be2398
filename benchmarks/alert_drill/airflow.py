"""The alerts about DAGs, on an Airflow of the embedded stack: its scheduler stands still, and goes on."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.alert_drill.site import Case, Watched, start_prometheus, start_service
from benchmarks.harness.load import LoadError
from deploy.embedded import ports
from deploy.embedded.temporary_servers import ROOT, free_ports

_SERVICES = ("postgres", "valkey", "minio", "mlflow", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor")
_SCHEDULER = "airflow_process.py"
_DAG = "load_data"
_SECONDS = 60.0


@dataclass
class AirflowSite(Watched):
    """Airflow, and the settings by which it is reached."""

    settings: dict[str, str]


@contextlib.contextmanager
def open_airflow(folder: Path, prometheus: Path, factor: float) -> Iterator[AirflowSite]:
    """Start Airflow with one DAG that runs every minute, the exporter and Prometheus.

    Raises:
        LoadError: something does not come up.
    """
    names = list(dict.fromkeys(port.setting for port in ports.PORTS))
    numbers = dict(zip(names, map(str, free_ports(len(names), with_grpc=True)), strict=True))
    own = {"HEARTH_STATE_DIR": str(folder / "state"), "HEARTH_MONITOR_SCHEDULE": "* * * * *", **numbers}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    settings = {
        **own,
        "HEARTH_AIRFLOW_URL": f"http://127.0.0.1:{numbers['HEARTH_AIRFLOW_PORT']}",
        "HEARTH_API_URL": "",
        "HEARTH_EXPORTER_SECONDS": "2",
        "HEARTH_WORKER_METRICS_PORT": "0",
        "HEARTH_GRPC_METRICS_PORT": "0",
    }
    with contextlib.ExitStack() as stack:
        stack.callback(subprocess.run, ["./hearth", "clean"], cwd=ROOT, env={**inherited, **own}, check=False)
        if subprocess.run(["./hearth", "up", *_SERVICES], cwd=ROOT, env={**inherited, **own}, check=False).returncode:
            raise LoadError("the embedded stack with Airflow did not come up; what it has printed says why")
        url = f"http://127.0.0.1:{settings['HEARTH_EXPORTER_PORT']}/metrics"
        start_service(stack, "exporter", ["-m", "deploy.monitoring.exporter"], settings, folder, url)
        client = start_prometheus(stack, prometheus, settings, folder, factor)
        yield AirflowSite(prometheus=client, api=None, settings=settings)


@contextlib.contextmanager
def hung_scheduler(site: AirflowSite) -> Iterator[None]:
    """Let the scheduler stand still while a run is wanted and the next one is due; then it goes on."""
    state = site.settings["HEARTH_STATE_DIR"]
    leaders = [process for process in psutil.process_iter() if _is_scheduler(process, state)]
    processes = {process for leader in leaders for process in (leader, *leader.children(recursive=True))}
    if not processes:
        raise LoadError("no scheduler of this stack was found")
    for process in processes:
        process.suspend()
    try:
        _trigger(site.settings["HEARTH_AIRFLOW_URL"])
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def _is_scheduler(process: psutil.Process, state: str) -> bool:
    try:
        return any(_SCHEDULER in part for part in process.cmdline()) and process.environ().get("HEARTH_STATE_DIR") == state
    except psutil.Error:
        return False


def _trigger(url: str) -> None:
    with httpx.Client(base_url=url, timeout=_SECONDS) as client:
        login = {
            "username": os.environ.get("HEARTH_AIRFLOW_USER", "airflow"),
            "password": os.environ.get("HEARTH_AIRFLOW_PASSWORD", "airflow"),
        }
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        client.post(f"/api/v2/dags/{_DAG}/dagRuns", json={"logical_date": None, "conf": {}}, headers=headers).raise_for_status()


CASES = (
    Case("DagLate", hung_scheduler, "a scheduler that stands still, and a DAG of every minute"),
    Case("DagStuck", hung_scheduler, "a scheduler that stands still, and a run that waits"),
)
