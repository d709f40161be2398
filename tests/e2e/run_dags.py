"""Run DAGs one after the other with `dag.test()` and print the state of each task, as JSON; run by test_dags in a process of its own."""

import json
import os
import sys

from airflow.dag_processing.dagbag import DagBag

folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
sys.path.append(folder)  # as Airflow's processor does with a bundle
bag = DagBag(dag_folder=folder)
conf = json.loads(sys.argv[1])
states = {}
for dag_id in sys.argv[2:]:
    run = bag.dags[dag_id].test(run_conf=conf.get(dag_id, {}))
    states[dag_id] = {"run": str(run.state), "tasks": {task.task_id: str(task.state) for task in run.get_task_instances()}}
print(json.dumps(states))  # noqa: T201 - the answer
