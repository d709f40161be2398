"""Versions that cannot be served, in a real MLflow: each is refused by name for its alias, and all others are followed."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from mlflow import MlflowClient

from hearth.registry import ModelPolicy, NewVersion, RegisteredVersion, Registry, StoredModel
from hearth.registry.signing import Signer
from hearth.serving.model_follower import ModelFollower
from hearth.serving.model_probe import ProbedRegistry
from hearth.settings import ServingSettings
from tests.support.model_files import X, booster_text, fitted, rewrite, set_booster_text
from tests.support.samples import EMPLOYEES

KEY = "a-key-that-MLflow-does-not-have"


def register(registry: Registry, dataset: str, family: str, **changes: int) -> RegisteredVersion:
    pipeline = fitted(family, **changes)
    return registry.register(NewVersion(dataset, family, "0a1b", uuid4().hex, pipeline, X.head(3), {}, {}, {}))


def spoiled(registry: Registry, client: MlflowClient, version: RegisteredVersion, folder: Path, change: Callable[[Path], object]) -> str:
    """Register a changed copy of a version, with all its tags but the signature; return its number."""
    with registry.download(version) as files:
        shutil.copytree(files.folder, folder)
    change(folder)
    run = client.get_run(version.run_id)
    model = client.create_logged_model(run.info.experiment_id, "spoiled", version.run_id)
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    tags = {name: value for name, value in version.tags.items() if "signature" not in name}
    copy = client.create_model_version(version.dataset, model.model_uri, version.run_id, tags=tags, model_id=model.model_id)
    return str(copy.version)


def no_description(folder: Path) -> None:
    (folder / "MLmodel").unlink()


def other_columns(folder: Path) -> None:
    path = folder / "input_example.json"
    example = json.loads(path.read_text("utf-8"))
    example["columns"] = [f"other {name}" for name in example["columns"]]
    path.write_text(json.dumps(example), "utf-8")


def broken_trees(folder: Path) -> None:
    rewrite(folder, lambda schema: set_booster_text(schema, booster_text(schema).replace("num_class=3", "num_class=2000000000")))


SPOILED: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "knn": (no_description, "has no MLmodel, and nothing else is loaded"),
    "svm": (other_columns, "cannot be served"),
    "lightgbm": (broken_trees, "num_class is 2000000000, but num_tree_per_iteration 3"),
}


def test_spoiled_versions_are_refused_by_name_and_every_other_alias_and_data_set_is_followed(
    mlflow_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    trainings = Registry(mlflow_uri, policy=ModelPolicy(Signer([KEY])))
    client = MlflowClient(mlflow_uri, mlflow_uri)
    first, last = (EMPLOYEES.model_copy(update={"name": f"{letter}_{uuid4().hex}"}) for letter in "az")
    sound = register(trainings, first.name, "lightgbm", n_estimators=3)
    trainings.annotate(sound, {"hearth.gate": "passed"})
    for alias, (change, _) in SPOILED.items():
        trainings.set_alias(first.name, alias, spoiled(trainings, client, sound, tmp_path / alias, change))
    trainings.set_alias(first.name, "champion", sound.version)
    other = register(trainings, last.name, "knn")
    trainings.annotate(other, {"hearth.gate": "passed"})
    trainings.set_alias(last.name, "champion", other.version)

    settings = ServingSettings(mlflow_tracking_uri=mlflow_uri, model_signing_key=KEY, model_cache_dir=str(tmp_path / "verdicts"))
    contracts = {contract.name: contract for contract in (first, last)}
    registry = ProbedRegistry.of(settings, contracts)
    load = registry.load_with_example

    def counted(version: RegisteredVersion) -> StoredModel:
        started.append(version.version)
        return load(version)

    monkeypatch.setattr(registry, "load_with_example", counted)
    models = ModelFollower(registry, contracts, poll_seconds=60)
    for _ in range(3):
        models.poll()

    assert models.get(first.name, "champion").version == sound.version
    assert models.get(last.name, "champion").version == other.version
    problems = {status.alias: status.problem for status in models.status().aliases if status.dataset == first.name and status.problem}
    assert problems.keys() == SPOILED.keys()
    for alias, (_, reason) in SPOILED.items():
        assert f"models:/{first.name}/" in problems[alias]
        assert reason in problems[alias]
    assert len(started) == len(SPOILED) + 2  # none is loaded again at each poll
    assert {outcome for (_, _, outcome) in models.status().reloads} == {"swapped", "refused"}
    # Trusted versions start no process, and the one without a description did not come that far
    assert len([*(tmp_path / "verdicts").glob("*.json")]) == 2
