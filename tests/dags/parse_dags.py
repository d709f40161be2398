"""Parse the DAG files as Airflow's processor does and print what was found, as JSON; run by test_dag_integrity in a process of its own.

Any attempt to connect to a network address while a file is imported ends the process.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
sys.path.append(str(folder))  # as Airflow's processor does with a bundle
before = set(sys.modules)


def refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Raise when a socket is connected; unix sockets count too."""
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        message = f"a DAG file used the network at import: {event} {arguments[1:]}"
        raise RuntimeError(message)


def scheduled_by(dag: DAG) -> list[str]:
    """Return the names of the assets whose update starts a run."""
    condition = getattr(dag.timetable, "asset_condition", None)
    return sorted(asset.name for asset in condition.objects) if condition else []


DagBag(dag_folder=os.devnull)  # what Airflow itself loads at the first use is not the files' fault
sys.addaudithook(refuse_network)
from task_defaults import reporting as wrap  # noqa: E402 - a module of the folder

reporting = wrap(lambda: None)  # what it returns has the same code for every function


def pre_execute(task: Any) -> object:
    """Return what is called before a task; a mapped one has it among what its instances are made with."""
    return task.partial_kwargs.get("pre_execute") if hasattr(task, "partial_kwargs") else getattr(task, "_pre_execute_hook", None)


def reports(task: Any) -> bool:
    """Tell whether what a task runs is wrapped by `reporting`; Airflow wraps the method of an operator once more."""
    function = getattr(task, "python_callable", None) or type(task).execute
    while function is not None:
        if getattr(function, "__code__", None) is reporting.__code__:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


files = []
for path in sorted(folder.glob("*.py")):
    started = time.process_time()
    bag = DagBag(dag_folder=str(path), collect_dags=True)
    files.append(
        {
            "file": path.name,
            "cpu_seconds": time.process_time() - started,
            "errors": bag.import_errors,
            "dags": {
                dag_id: {
                    "tags": sorted(dag.tags),
                    "retries": [task.retries for task in dag.tasks],
                    "pre_execute": [getattr(pre_execute(task), "__name__", "") for task in dag.tasks],
                    "reports": [reports(task) for task in dag.tasks],
                    "retry_policies": [type(task.retry_policy).__name__ for task in dag.tasks],
                    "timeouts": [task.execution_timeout is not None for task in dag.tasks],
                    "alerts": dag.on_failure_callback is not None and dag.on_success_callback is not None,
                    "catchup": dag.catchup,
                    "max_active_runs": dag.max_active_runs,
                    "params": {name: dag.params[name] for name in dag.params},
                    "doc": bool(dag.doc_md),
                    "schedule": dag.schedule if isinstance(dag.schedule, str) else "",
                    "inlets": scheduled_by(dag),
                    "outlets": sorted(asset.name for task in dag.tasks for asset in task.outlets),
                }
                for dag_id, dag in bag.dags.items()
            },
        }
    )
print(json.dumps({"files": files, "modules": sorted(set(sys.modules) - before)}))  # noqa: T201 - the answer
