"""Train again on records that were served and have got a label, and deploy what is better on the newest of them.

**decide** stores whether to train, and why; it skips the rest if not. It runs when the monitor finds drift of the level `act`, when labels
say that quality has fallen, on a schedule (`HEARTH_RETRAIN_SCHEDULE`), and by hand. **write_data** makes two data sets of the labelled records:
these alone, and with the train set that was published last. **train** tunes and fits a family on each, **register** makes the best a
version, **judge** compares it with the champion on the newest labelled records and on the old test set, **deploy** deploys it if it is
better by more than noise. **end** notes a failure. All tasks may run again: one run gives one decision and one version.
"""

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task
from pendulum import datetime

from assets import MOST_TRIALS, drift_asset, model_asset
from hearth.contracts import Contract
from hearth.contracts.airflow_names import RETRAIN, dag_id
from hearth.modelling.families import trainable_contracts
from hearth.settings import RetrainScheduleSettings
from task_defaults import reporting, task_defaults
