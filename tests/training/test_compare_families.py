"""Comparing families, tuning the best, cleaning up: on a real object store and a real MLflow."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from hearth.contracts import Contract
from hearth.data import processed
from hearth.data.cleaning import Split, digest
from hearth.errors import InvalidModelParams, RegistryError, UnknownFamily
from hearth.jobs import compare_families
from hearth.jobs.cleanup import remove_old_versions
from hearth.registry import Registry
from hearth.storage import ObjectStore
from tests.support.samples import sample_split

POOR_KNN = "{knn: {n_neighbors: 1, weights: uniform}, svm: {C: 1.0}}"


@pytest.fixture
def contract(employees_renamed: Contract) -> Contract:
    return employees_renamed


class Bench:
    """One run of the pipeline, step by step."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry, folder: Path) -> None:
        self.contract, self.store, self.registry, self.folder = contract, store, registry, folder

    def publish(self, split: Split) -> str:
        name = digest(split)
        processed.write_split(self.store, self.contract.name, name, split)
        processed.write_manifest(self.store, processed.Manifest(self.contract.name, name, len(split.X_train), len(split.X_test)))
        return name

    def judged(self, family: str, data: str, params: str = POOR_KNN, key: str = "run-1") -> str:
        path = self.folder / "model_params.yaml"
        path.write_text(f"{self.contract.name}: {params}", "utf-8")
        trained = compare_families.cross_validate_family(
            self.contract.name, family, digest=data, params_file=path, seed=1, key=key, store=self.store
        )
        return compare_families.evaluate_candidate(self.contract.name, trained, store=self.store, registry=self.registry)

    def tuned(self, judged: str, steps: int = 1) -> str:
        name = self.contract.name
        return compare_families.search_locally(name, judged, steps=steps, factors=[0.5, 1.1], store=self.store, registry=self.registry)

    def registered(self, tuned: str) -> str:
        return compare_families.register_candidate(self.contract.name, tuned, store=self.store, registry=self.registry)

    def read(self, key: str) -> compare_families.Candidate:
        return compare_families.read_candidate(key, store=self.store)

    def runs(self) -> list[Run]:
        client = MlflowClient(self.registry._connection.uri)
        found = client.get_experiment_by_name(f"{self.contract.name}_mlops_pipeline")
        assert found is not None
        return list(client.search_runs([found.experiment_id]))


@pytest.fixture
def bench(contract: Contract, store: ObjectStore, registry: Registry, tmp_path: Path) -> Bench:
    return Bench(contract, store, registry, tmp_path)


def test_the_better_family_is_selected_tuned_and_registered_with_what_was_found(bench: Bench) -> None:
    data = bench.publish(sample_split(bench.contract))
    judged = {family: bench.judged(family, data) for family in ("knn", "svm")}

    best = compare_families.select_best(list(judged.values()), store=bench.store)
    assert best == judged["svm"]
    assert bench.read(best).score > bench.read(judged["knn"]).score

    tuned = bench.tuned(best)
    assert bench.read(tuned).score >= bench.read(best).score
    version = bench.registry.version(bench.contract.name, bench.registered(tuned))

    assert (version.family, version.digest) == ("svm", data)
    assert version.metrics["cv_macro_f1"] == pytest.approx(bench.read(tuned).score)
    assert version.metrics["macro_f1"] > 0.5
    assert version.params["tuning"] == bench.read(tuned).label
    by_family = [run for run in bench.runs() if "mlflow.parentRunId" not in run.data.tags]
    assert sorted(run.data.tags["hearth.family"] for run in by_family) == ["knn", "svm", "svm"]  # the last one is the variants'
    [knn] = [run for run in by_family if run.data.tags["hearth.family"] == "knn"]
    assert knn.data.metrics["cv_macro_f1"] == pytest.approx(bench.read(judged["knn"]).score)


def test_each_step_may_run_again_with_the_same_result(bench: Bench) -> None:
    data = bench.publish(sample_split(bench.contract))
    judged = bench.judged("knn", data)
    tuned = bench.tuned(judged)
    before, runs, version = bench.read(tuned), len(bench.runs()), bench.registered(tuned)

    assert bench.judged("knn", data) == judged
    assert bench.tuned(judged) == tuned
    assert bench.read(tuned) == before
    assert len(bench.runs()) == runs
    assert bench.registered(tuned) == version


def test_the_choice_sees_nothing_of_the_test_set(bench: Bench) -> None:
    split = sample_split(bench.contract)
    turned = Split(split.X_train, split.X_test, split.y_train, split.y_test.iloc[::-1].reset_index(drop=True))
    found = []
    for data in (bench.publish(split), bench.publish(turned)):
        tuned = bench.read(bench.tuned(bench.judged("knn", data)))
        found.append((tuned.params, tuned.scores, tuned.label))

    assert found[0] == found[1]


def test_a_family_or_parameters_that_there_are_not_are_named(bench: Bench) -> None:
    data = bench.publish(sample_split(bench.contract))

    with pytest.raises(UnknownFamily):
        bench.judged("random_forest", data)
    with pytest.raises(InvalidModelParams, match="neighbours: is no parameter"):
        bench.judged("knn", data, "{knn: {neighbours: 3}}")


def test_old_versions_are_removed_but_never_one_with_an_alias(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    data = bench.publish(sample_split(bench.contract))
    name, registry = bench.contract.name, bench.registry
    versions = [bench.registered(bench.tuned(bench.judged("knn", data, key=f"run-{number}"), steps=0)) for number in range(4)]
    registry.set_alias(name, "knn", versions[0])

    with caplog.at_level("WARNING"):
        assert remove_old_versions(name, 2, registry=registry) == [versions[1]]
    [row] = [line for line in caplog.records if '"action": "version_removed"' in line.getMessage()]  # no store is named
    assert row.__dict__["version"] == versions[1]
    assert remove_old_versions(name, 2, registry=registry) == []

    assert [version.version for version in registry.versions(name)] == [versions[3], versions[2], versions[0]]
    assert registry.load(registry.version(name, "knn"))
    with pytest.raises(RegistryError, match="carries knn and cannot be deleted"):
        registry.remove(registry.version(name, versions[0]))
