"""Run DAGs one after the other with `dag.test()` and print the state of each task, as JSON; run by tests in a process of its own.

An argument is the id of a DAG, or `label=id` where one runs more than once. `deferrals` says how often a task let go of its slot to wait:
Airflow's state is "deferred" then, and the trigger runs here.
"""

import json
import os
import sys
from collections import Counter

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions import dag as dag_module

folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
sys.path.append(folder)  # as Airflow's processor does with a bundle
bag = DagBag(dag_folder=folder)
conf = json.loads(sys.argv[1])
states = {}
deferrals: list[object] = []
wait = dag_module._run_inline_trigger  # called for a task whose state is "deferred", and for no other


def counted(trigger: object, task: object) -> object:
    """Run the trigger, and remember that there was one."""
    deferrals.append(trigger)
    return wait(trigger, task)  # type: ignore[no-untyped-call]  # Airflow has no types for it


dag_module._run_inline_trigger = counted
for argument in sys.argv[2:]:
    label, _, dag_id = argument.rpartition("=")
    label = label or dag_id
    deferrals.clear()
    run = bag.dags[dag_id].test(run_conf=conf.get(label, {}))
    tasks = {task.task_id: str(task.state) for task in run.get_task_instances()}
    mapped = Counter(task.task_id for task in run.get_task_instances() if task.map_index >= 0)
    tries = {task.task_id: task.try_number for task in run.get_task_instances()}
    states[label] = {"run": str(run.state), "tasks": tasks, "tries": tries, "mapped": mapped, "deferrals": len(deferrals)}
print(json.dumps(states))  # noqa: T201 - the answer
