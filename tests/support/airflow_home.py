"""An Airflow of its own for tests: a home folder and a migrated SQLite database, away from the one that a stack uses."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.embedded.temporary_servers import ObjectStore

ROOT = Path(__file__).parents[2]
DATABASE = "airflow.db"


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process that uses this Airflow."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "HEARTH_"))}
    return inherited | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "airflow" / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "airflow" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / DATABASE}",
        "HEARTH_ENVIRONMENT": "laptop",
        "HEARTH_DATA_DIR": str(ROOT / "data"),
        "HEARTH_MONITOR_URL": "",  # .env's may be that of a running stack, which no test's failed DAG concerns
        **more,
    }


def storage(store: ObjectStore) -> dict[str, str]:
    """Return the settings of processes that use this store."""
    return {
        "HEARTH_S3_ENDPOINT_URL": store.endpoint_url,
        "HEARTH_S3_REGION": store.region,
        "HEARTH_S3_ACCESS_KEY": store.access_key,
        "HEARTH_S3_SECRET_KEY": store.secret_key,
        "HEARTH_DATA_BUCKET": "data",
        "HEARTH_PROCESSED_BUCKET": "processed",
    }


def servers(store: ObjectStore, mlflow_uri: str) -> dict[str, str]:
    """Return the settings of processes that use these servers."""
    return {**storage(store), "HEARTH_MLFLOW_TRACKING_URI": mlflow_uri}


def run(script: str, *arguments: str, env: dict[str, str]) -> str:
    """Run one of this folder's scripts in a process of its own; return its standard output."""
    command = [sys.executable, str(ROOT / "tests" / script), *arguments]
    ended = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout[-4000:]}\n{ended.stderr[-8000:]}"
    return ended.stdout


@contextlib.contextmanager
def migrated_database() -> Iterator[str]:
    """Yield the path of a database with Airflow's tables, to be copied: making them takes 9 seconds."""
    with tempfile.TemporaryDirectory(prefix="hearth-airflow-", ignore_cleanup_errors=True) as folder:
        env = environment(Path(folder))
        airflow = str(Path(sys.executable).with_name("airflow"))
        subprocess.run([airflow, "db", "migrate"], env=env, cwd=ROOT, check=True, capture_output=True)
        yield str(Path(folder, DATABASE))
