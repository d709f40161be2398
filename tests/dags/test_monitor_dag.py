"""What the tasks of the DAG `monitor` say when there is nothing to compare."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from hearth.jobs import live_quality
from hearth.jobs import load_labels as load_labels_job
from hearth.jobs import monitor as monitor_job
from tests.dags import dag_files
from tests.support.airflow_home import ROOT


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (SimpleNamespace(check=None, is_new=False), "employees: there is no champion yet"),
        (SimpleNamespace(check=SimpleNamespace(), is_new=False), "employees: no answer is new since the last check"),
    ],
)
def test_a_skipped_check_says_which_of_the_two_is_missing(monkeypatch: pytest.MonkeyPatch, result: SimpleNamespace, why: str) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "airflow" / "dags"))  # as Airflow does for the modules that DAG files share
    check = dag_files.load("monitor").employees_monitor.get_task("check")
    monkeypatch.setattr(monitor_job, "monitor", lambda *_, **__: result)
    monkeypatch.setattr(load_labels_job, "load_labels", lambda _: None)

    with pytest.raises(AirflowSkipException, match=why):
        check.python_callable(dag_run=SimpleNamespace(run_type="scheduled"), outlet_events={})


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (SimpleNamespace(check=None, is_new=False), "employees: there is no champion yet"),
        (SimpleNamespace(check=SimpleNamespace(), is_new=False), "employees: no label is new since the last check"),
    ],
)
def test_a_skipped_measurement_says_which_of_the_two_is_missing(monkeypatch: pytest.MonkeyPatch, result: SimpleNamespace, why: str) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "airflow" / "dags"))
    measure = dag_files.load("monitor").employees_monitor.get_task("measure")
    monkeypatch.setattr(live_quality, "measure_quality", lambda *_, **__: result)

    with pytest.raises(AirflowSkipException, match=why):
        measure.python_callable(dag_run=SimpleNamespace(run_type="scheduled"), outlet_events={})
