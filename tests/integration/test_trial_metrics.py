"""The exporter counts trials as a real MLflow lists them."""

from uuid import uuid4

from deploy.embedded.temporary_servers import ROOT
from deploy.monitoring.mlflow_trials import MlflowProbe
from hearth.modelling.trials import TrialResult
from hearth.registry import Registry
from hearth.settings import ExporterSettings


def test_trials_of_a_search_become_metrics(mlflow_uri: str) -> None:
    dataset, registry = f"data_{uuid4().hex}", Registry(mlflow_uri)
    probe = MlflowProbe(ExporterSettings(_env_file=ROOT / ".env", mlflow_tracking_uri=mlflow_uri), 60)
    probe()
    with registry.study(dataset, "svm", digest="ab", training_key=f"{dataset}/a", metric="f1", params={}) as study:
        study.log_trial(TrialResult(0, {"C": 1.0}, (0.5, 0.7), pruned=False))
        study.log_trial(TrialResult(1, {"C": 2.0}, (0.1,), pruned=True))

    found = {(each.name, *each.labels): each.value for each in probe() if dataset in each.labels}

    assert found == {
        ("hearth_trials", dataset, "svm", "finished"): 1,
        ("hearth_trials", dataset, "svm", "pruned"): 1,
        ("hearth_trial_last_score", dataset, "svm", "f1"): 0.6,
    }
