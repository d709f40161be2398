import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import mlflow
import numpy as np
import pytest
import skops.io
import yaml
from mlflow import MlflowClient
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from hearth.errors import IncompatibleModel, ModelUnavailable, RefusedModel, RegistryError, RegistryUnavailable, UntrustedModel
from hearth.modelling.families import FAMILIES
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.registry import InputData, NewVersion, RegisteredVersion, Registry
from hearth.training.tuning import fit
from tests.support.samples import EMPLOYEES, sample_split
from tests.support.versions import remake

SPLIT = sample_split(EMPLOYEES)
FITTED = {name: fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, params=family.defaults, seed=1) for name, family in FAMILIES.items()}


@pytest.fixture
def registry(mlflow_uri: str) -> Registry:
    return Registry(mlflow_uri, revision="0123456789abcdef")


@pytest.fixture
def client(mlflow_uri: str) -> MlflowClient:
    return MlflowClient(mlflow_uri, mlflow_uri)


@pytest.fixture
def dataset() -> str:
    """A registered model of the test's own."""
    return f"data_{uuid4().hex}"


def experiment_id(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    assert found is not None
    return str(found.experiment_id)


def new_version(dataset: str, family: str = "knn", key: str = "run-1", pipeline: Pipeline | None = None) -> NewVersion:
    return NewVersion(
        dataset=dataset,
        family=family,
        digest="0011223344556677",
        training_key=f"{dataset}/{key}",
        pipeline=pipeline or FITTED[family],
        example=SPLIT.X_test.head(5),
        params={"n_neighbors": 25, "seed": 42},
        metrics={"macro_f1": 0.8, "accuracy": 0.9},
        pictures={"confusion_matrix.png": b"\x89PNG"},
    )


class _Passing(FunctionTransformer):  # type: ignore[misc]  # scikit-learn has no types
    """A type that is not on the list."""


class TestRegister:
    @pytest.mark.parametrize("family", sorted(FAMILIES))
    def test_a_loaded_version_gives_the_probabilities_of_the_registered_pipeline(
        self, registry: Registry, dataset: str, family: str
    ) -> None:
        version = registry.register(new_version(dataset, family))

        loaded = registry.load(registry.version(dataset, version.version))

        np.testing.assert_array_equal(loaded.predict_proba(SPLIT.X_test), FITTED[family].predict_proba(SPLIT.X_test))

    @pytest.mark.parametrize("algorithm", ["ball_tree", "kd_tree", "brute"])
    def test_every_way_to_find_neighbours_is_on_the_allow_list(self, registry: Registry, dataset: str, algorithm: str) -> None:
        params = {**FAMILIES["knn"].defaults, "algorithm": algorithm}
        pipeline = fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["knn"], params=params, seed=1)

        version = registry.register(new_version(dataset, pipeline=pipeline))

        assert isinstance(registry.load(version), Pipeline)

    def test_a_version_says_where_it_came_from_and_what_made_it(self, registry: Registry, dataset: str) -> None:
        version = registry.register(new_version(dataset))

        assert (version.dataset, version.version, version.family, version.digest) == (dataset, "1", "knn", "0011223344556677")
        assert version.metrics == {"macro_f1": 0.8, "accuracy": 0.9}
        assert version.tags["hearth.git_revision"] == "0123456789abcdef"
        assert set(version.libraries) == {"python", "scikit-learn", "lightgbm", "skops", "numpy", "pandas"}
        assert registry.version(dataset, "1") == version

    def test_the_run_holds_parameters_metrics_pictures_and_a_model_with_signature_and_raw_example(
        self, registry: Registry, client: MlflowClient, dataset: str, tmp_path: Path
    ) -> None:
        version = registry.register(new_version(dataset))

        run = client.get_run(version.run_id)
        assert client.get_experiment(run.info.experiment_id).name == "optimized_models"
        assert run.info.status == "FINISHED"
        assert run.data.params == {"n_neighbors": "25", "seed": "42"}
        assert run.data.metrics == {"macro_f1": 0.8, "accuracy": 0.9}
        assert [file.path for file in client.list_artifacts(version.run_id, "figures")] == ["figures/confusion_matrix.png"]
        assert run.outputs is not None
        [output] = run.outputs.model_outputs
        model = client.get_logged_model(output.model_id)
        assert {metric.key for metric in model.metrics or ()} == {"macro_f1", "accuracy"}
        folder = Path(
            mlflow.artifacts.download_artifacts(model.artifact_location, dst_path=str(tmp_path), tracking_uri=registry._connection.uri)
        )
        description = yaml.safe_load((folder / "MLmodel").read_text())
        signature = json.loads(description["signature"]["inputs"])
        assert {column["name"]: column["type"] for column in signature} == {
            name: "string" if name in EMPLOYEES.categorical_features else "double" for name in EMPLOYEES.feature_names
        }
        assert description["flavors"]["python_function"]["predict_fn"] == "predict_proba"
        assert json.loads((folder / "input_example.json").read_text())["data"][0][0] in {"Female", "Male"}
        assert not list(folder.glob("*.pkl"))

    def test_nothing_is_left_in_mlflows_global_state(self, registry: Registry, dataset: str, mlflow_uri: str) -> None:
        registry.load(registry.register(new_version(dataset)))

        assert mlflow.active_run() is None
        assert mlflow.get_tracking_uri() != mlflow_uri

    def test_trainings_that_end_at_the_same_time_get_versions_of_their_own(self, registry: Registry, dataset: str) -> None:
        found: list[RegisteredVersion] = []
        threads = [
            threading.Thread(target=lambda key=key: found.append(registry.register(new_version(dataset, key=key))))
            for key in ("a", "b", "c")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(version.version for version in found) == ["1", "2", "3"]
        assert [version.version for version in registry.versions(dataset)] == ["3", "2", "1"]

    def test_all_versions_are_told_as_each_alone_also_one_whose_run_was_deleted(
        self, registry: Registry, client: MlflowClient, dataset: str
    ) -> None:
        first, second = (registry.register(new_version(dataset, key=key)) for key in ("a", "b"))
        client.delete_run(first.run_id)

        assert registry.versions(dataset) == [registry.version(dataset, number) for number in (second.version, first.version)]
        assert [version.metrics == second.metrics != {} for version in registry.versions(dataset)] == [True, True]

    def test_a_pipeline_that_could_not_be_loaded_is_not_registered(self, registry: Registry, client: MlflowClient, dataset: str) -> None:
        pipeline = Pipeline([("reach", _Passing()), *FITTED["knn"].steps])

        with pytest.raises(UntrustedModel, match="_Passing"):
            registry.register(new_version(dataset, pipeline=pipeline))

        assert registry.versions(dataset) == []
        experiment = experiment_id(client, "optimized_models")
        [run] = client.search_runs([experiment], f"tags.`hearth.dataset` = '{dataset}'")
        assert run.info.status == "FAILED"

    def test_a_training_that_is_repeated_after_an_interruption_leaves_one_run(
        self, registry: Registry, client: MlflowClient, dataset: str
    ) -> None:
        first = registry.register(new_version(dataset))
        client.delete_model_version(dataset, first.version)  # as if it had been interrupted right before

        second = registry.register(new_version(dataset))

        experiment = experiment_id(client, "optimized_models")
        [run] = client.search_runs([experiment], f"tags.`hearth.dataset` = '{dataset}'")
        assert run.info.run_id == second.run_id != first.run_id
        models = client.search_logged_models([experiment], f"tags.`hearth.dataset` = '{dataset}'")
        assert [model.source_run_id for model in models] == [second.run_id]


class TestFind:
    def test_a_training_is_found_by_its_key(self, registry: Registry, dataset: str) -> None:
        registry.register(new_version(dataset, key="a"))
        second = registry.register(new_version(dataset, key="b"))

        assert registry.find(dataset, f"{dataset}/b") == second
        assert registry.find(dataset, f"{dataset}/c") is None

    def test_a_data_set_without_versions_has_none(self, registry: Registry, dataset: str) -> None:
        assert registry.find(dataset, "x") is None
        assert registry.versions(dataset) == []
        assert registry.aliases(dataset) == {}


class TestAliases:
    def test_an_alias_names_the_version_that_it_was_moved_to_last(self, registry: Registry, dataset: str) -> None:
        for key in ("a", "b"):
            version = registry.register(new_version(dataset, key=key))
            registry.set_alias(dataset, "champion", version.version)
        registry.set_alias(dataset, "knn", "1")

        assert registry.aliases(dataset) == {"champion": "2", "knn": "1"}
        assert registry.version(dataset, "champion").version == "2"

    @pytest.mark.parametrize("name", ["champion", "7"])
    def test_an_alias_or_number_without_a_version_is_unavailable(self, registry: Registry, dataset: str, name: str) -> None:
        with pytest.raises(ModelUnavailable, match=f"models:/{dataset}@{name} cannot be served"):
            registry.version(dataset, name)

    def test_what_a_version_is_annotated_with_is_on_it(self, registry: Registry, client: MlflowClient, dataset: str) -> None:
        version = registry.register(new_version(dataset))

        registry.annotate(version, {"hearth.gate": "passed"}, "it was better")

        assert registry.version(dataset, "1").tags["hearth.gate"] == "passed"
        assert client.get_model_version(dataset, "1").description == "**Decision:** it was better"

    def test_a_decision_stands_below_the_description_of_a_version_and_replaces_the_one_before(
        self, registry: Registry, client: MlflowClient, dataset: str
    ) -> None:
        version = registry.register(replace(new_version(dataset), description="knn for staff"))

        for decision in ("it was worse", "it was better"):
            registry.annotate(version, {}, decision)
        registry.annotate(version, {"hearth.gate": "passed"})

        assert client.get_model_version(dataset, "1").description == "knn for staff\n\n**Decision:** it was better"


class TestLoad:
    def tampered(
        self, registry: Registry, client: MlflowClient, version: RegisteredVersion, folder: Path, change: Callable[[Path], object]
    ) -> RegisteredVersion:
        """Register a copy of a version whose files were changed, with all its tags."""
        uri = client.get_model_version_download_uri(version.dataset, version.version)
        path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder), tracking_uri=registry._connection.uri))
        change(path)
        run = client.get_run(version.run_id)
        model = client.create_logged_model(run.info.experiment_id, "tampered", version.run_id)
        client.log_model_artifacts(model.model_id, str(path))
        client.finalize_logged_model(model.model_id, "READY")
        copy = client.create_model_version(
            version.dataset, model.model_uri, version.run_id, tags=dict(version.tags), model_id=model.model_id
        )
        return registry.version(version.dataset, str(copy.version))

    @pytest.mark.parametrize("library", ["scikit-learn", "lightgbm", "skops"])
    def test_a_model_of_another_library_version_is_refused_with_both_versions(
        self, registry: Registry, client: MlflowClient, dataset: str, library: str
    ) -> None:
        registry.register(new_version(dataset))
        remake(client, dataset, "1", library, "0.0.1")

        with pytest.raises(
            IncompatibleModel, match=f"models:/{dataset}/1 was made with {library} 0.0.1, but {library} [0-9.]+ is installed"
        ):
            registry.load(registry.version(dataset, "1"))

    def test_another_version_of_pandas_is_no_reason_to_refuse(self, registry: Registry, client: MlflowClient, dataset: str) -> None:
        registry.register(new_version(dataset))
        remake(client, dataset, "1", "pandas", "0.0.1")

        assert isinstance(registry.load(registry.version(dataset, "1")), Pipeline)

    def test_a_model_that_does_not_say_what_made_it_is_refused(self, registry: Registry, dataset: str) -> None:
        version = registry.register(new_version(dataset))

        with pytest.raises(RefusedModel, match="was not registered by a training of Hearth: it does not say which scikit-learn"):
            registry.load(replace(version, tags={}))

    def test_a_pickle_is_not_opened(self, registry: Registry, client: MlflowClient, dataset: str, tmp_path: Path) -> None:
        trap = tmp_path / "sprung"

        def pickle_instead(path: Path) -> None:
            (path / "model.skops").unlink()
            (path / "model.pkl").write_bytes(f"cposix\nsystem\n(S'touch {trap}'\ntR.".encode())

        version = self.tampered(registry, client, registry.register(new_version(dataset)), tmp_path / "files", pickle_instead)

        with pytest.raises(RefusedModel, match=r"has no model\.skops, and nothing else is loaded \(it holds: .*model\.pkl"):
            registry.load(version)
        assert not trap.exists()

    def test_types_off_the_list_are_refused_by_name_even_if_the_model_trusts_them(
        self, registry: Registry, client: MlflowClient, dataset: str, tmp_path: Path
    ) -> None:
        def reach_out(path: Path) -> None:
            skops.io.dump(Pipeline([("reach", FunctionTransformer(os.system))]), path / "model.skops")
            description = yaml.safe_load((path / "MLmodel").read_text())
            description["flavors"]["sklearn"]["skops_trusted_types"].append("posix.system")
            (path / "MLmodel").write_text(yaml.safe_dump(description))

        version = self.tampered(registry, client, registry.register(new_version(dataset)), tmp_path, reach_out)

        with pytest.raises(
            UntrustedModel, match=rf"models:/{dataset}/2 holds types that are not on the allow-list.*posix\.system"
        ) as caught:
            registry.load(version)
        assert caught.value.types == ("posix.system",)

    @pytest.mark.parametrize("content", [b"", b"nothing like a model", b"PK\x05\x06" + bytes(18)])
    def test_a_file_that_is_no_model_is_refused(
        self, registry: Registry, client: MlflowClient, dataset: str, tmp_path: Path, content: bytes
    ) -> None:
        version = registry.register(new_version(dataset))
        broken = self.tampered(registry, client, version, tmp_path, lambda path: (path / "model.skops").write_bytes(content))

        with pytest.raises(RefusedModel, match=f"models:/{dataset}/2 cannot be read as a skops file"):
            registry.load(broken)

    def test_something_else_than_a_pipeline_is_refused(
        self, registry: Registry, client: MlflowClient, dataset: str, tmp_path: Path
    ) -> None:
        version = registry.register(new_version(dataset))
        other = self.tampered(registry, client, version, tmp_path, lambda path: skops.io.dump([1, 2], path / "model.skops"))

        with pytest.raises(RefusedModel, match="is a list, expected a scikit-learn Pipeline"):
            registry.load(other)

    def test_a_model_that_answers_otherwise_than_when_it_was_saved_is_refused(
        self, registry: Registry, client: MlflowClient, dataset: str, tmp_path: Path
    ) -> None:
        version = registry.register(new_version(dataset))
        swapped = self.tampered(registry, client, version, tmp_path, lambda path: skops.io.dump(FITTED["lightgbm"], path / "model.skops"))

        with pytest.raises(RefusedModel, match="does not give the probabilities for its example"):
            registry.load(swapped)


TRIALS = {
    0: TrialResult(0, {"n_neighbors": 7}, (0.7, 0.9), pruned=False),
    1: TrialResult(1, {"n_neighbors": 3}, (0.5,), pruned=True),
}


class TestStudy:
    def study(self, registry: Registry, dataset: str, trials: Mapping[int, TrialResult]) -> str:
        with registry.study(dataset, "knn", digest="00", training_key=dataset, metric="macro_f1", params={"trials": 2}) as study:
            for trial in trials.values():
                study.log_trial(trial)
            study.log_best(TuningResult({"n_neighbors": 7}, 0.8, tuple(trials.values())))
        return study.run_id

    def runs(self, client: MlflowClient, dataset: str) -> dict[str, mlflow.entities.Run]:
        experiment = experiment_id(client, "knn_optuna")
        found = client.search_runs([experiment], f"tags.`hearth.dataset` = '{dataset}'")
        return {run.info.run_name: run for run in found}

    def test_every_trial_is_a_child_run_with_its_parameters_and_folds(self, registry: Registry, client: MlflowClient, dataset: str) -> None:
        parent_id = self.study(registry, dataset, TRIALS)

        runs = self.runs(client, dataset)
        parent, whole, pruned = runs[f"{dataset} knn"], runs["trial 0"], runs["trial 1"]
        assert parent.info.run_id == parent_id
        assert parent.data.params["best_n_neighbors"] == "7"
        assert parent.data.metrics == {"cv_macro_f1": 0.8, "trials": 2, "pruned": 1}
        assert {run.data.tags["mlflow.parentRunId"] for run in (whole, pruned)} == {parent_id}
        assert whole.data.params == {"n_neighbors": "7"}
        assert whole.data.metrics["cv_macro_f1"] == pytest.approx(0.8)
        assert [point.value for point in client.get_metric_history(whole.info.run_id, "fold_macro_f1")] == [0.7, 0.9]
        assert [run.info.status for run in (parent, whole, pruned)] == ["FINISHED", "FINISHED", "KILLED"]

    def test_a_repeated_study_takes_the_place_of_an_interrupted_one(self, registry: Registry, client: MlflowClient, dataset: str) -> None:
        class Interrupted(Exception):
            pass

        def interrupted() -> None:
            with registry.study(dataset, "knn", digest="00", training_key=dataset, metric="macro_f1", params={}) as study:
                study.log_trial(TRIALS[0])
                raise Interrupted

        with pytest.raises(Interrupted):
            interrupted()
        assert self.runs(client, dataset)[f"{dataset} knn"].info.status == "FAILED"

        parent_id = self.study(registry, dataset, TRIALS)

        runs = self.runs(client, dataset)
        assert sorted(runs) == sorted([f"{dataset} knn", "trial 0", "trial 1"])
        assert {run.data.tags.get("mlflow.parentRunId", parent_id) for run in runs.values()} == {parent_id}

    def test_finished_trials_are_found_whatever_their_experiment_and_those_of_before_are_not(
        self, registry: Registry, dataset: str
    ) -> None:
        self.study(registry, dataset, TRIALS)
        moment = datetime.now(UTC) + timedelta(milliseconds=1)
        time.sleep(0.002)
        with registry.study(
            dataset, "svm", digest="00", training_key=f"{dataset} svm", metric="macro_f1", params={}, experiment=f"{dataset}_svm"
        ) as study:
            study.log_trial(TRIALS[0])

        assert [(trial.family, trial.number) for trial in registry.finished_trials(dataset, moment)] == [("svm", 0)]
        everything = registry.finished_trials(dataset, moment - timedelta(hours=1))
        assert [(trial.family, trial.number, trial.score, trial.pruned) for trial in everything] == [
            ("knn", 0, pytest.approx(0.8), False),
            ("knn", 1, 0.5, True),
            ("svm", 0, pytest.approx(0.8), False),
        ]
        assert {trial.metric for trial in everything} == {"macro_f1"}
        assert registry.finished_trials("another", moment - timedelta(hours=1)) == []


class TestDescriptions:
    def test_experiment_run_model_and_version_say_what_they_hold_and_the_run_what_it_read(
        self, registry: Registry, client: MlflowClient, dataset: str
    ) -> None:
        data = [InputData(f"{dataset} train", "00", SPLIT.X_train, "s3://processed/here/", "training")]
        new = replace(
            new_version(dataset), experiment=f"{dataset}_final", data=data, description="knn for staff", about="Who is burning out?"
        )

        version = registry.register(new)

        run = client.get_run(version.run_id)
        experiment = client.get_experiment(run.info.experiment_id)
        assert experiment.name == f"{dataset}_final"
        assert experiment.tags["mlflow.note.content"] == f"The final runs: one for each registered version. Data set: {dataset}."
        assert run.data.tags["mlflow.note.content"] == "knn for staff"
        assert client.get_registered_model(dataset).description == "Who is burning out?"
        assert client.get_model_version(dataset, "1").description == "knn for staff"
        assert run.inputs is not None
        [entry] = run.inputs.dataset_inputs
        assert (entry.dataset.name, entry.dataset.digest, entry.tags[0].value) == (f"{dataset} train", "00", "training")

    def test_versions_of_several_experiments_are_listed_with_their_metrics(self, registry: Registry, dataset: str) -> None:
        for key, experiment in (("one", f"{dataset}_final"), ("two", "optimized_models"), ("three", f"{dataset}_final")):
            registry.register(replace(new_version(dataset, key=key), experiment=experiment))

        assert [bool(version.metrics) for version in registry.versions(dataset)] == [True, True, True]


class TestLogEtl:
    def log(self, registry: Registry, experiment: str, digest: str = "0a1b") -> str:
        return registry.log_etl(
            experiment,
            params={"test_share": 0.2},
            metrics={"rows_in": 420},
            artifacts={"profile.json": b"{}", "tables/description.csv": b"a,b"},
            data=InputData("employees", digest, SPLIT.X_train.assign(target=SPLIT.y_train), "s3://processed/employees/0a1b/", "etl"),
        )

    def test_a_run_holds_what_was_done_and_the_data_set_with_its_digest(
        self, registry: Registry, client: MlflowClient, dataset: str
    ) -> None:
        run = client.get_run(self.log(registry, dataset))

        assert run.info.status == "FINISHED"
        assert (run.data.params, run.data.metrics) == ({"test_share": "0.2"}, {"rows_in": 420})
        assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"profile.json", "tables"}
        assert run.inputs is not None
        [entry] = run.inputs.dataset_inputs
        assert entry.dataset.digest == "0a1b"
        assert "s3://processed/employees/0a1b/" in entry.dataset.source

    def test_the_same_digest_is_logged_once(self, registry: Registry, dataset: str) -> None:
        first = self.log(registry, dataset)

        assert self.log(registry, dataset) == first
        assert self.log(registry, dataset, digest="ffff") != first

    def test_what_an_interrupted_task_left_is_replaced(self, registry: Registry, client: MlflowClient, dataset: str) -> None:
        experiment_id = client.create_experiment(dataset)
        client.create_run(experiment_id, tags={"hearth.digest": "0a1b"})  # still RUNNING

        run_id = self.log(registry, dataset)

        assert [run.info.run_id for run in client.search_runs([experiment_id])] == [run_id]


class TestUnavailable:
    def test_a_registry_that_is_away_is_said_to_be_so_before_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
            registry = Registry(f"http://127.0.0.1:{taken.getsockname()[1]}")
            started = time.monotonic()
            with pytest.raises(RegistryUnavailable, match=r"is HEARTH_MLFLOW_TRACKING_URI right\? \(Connection refused\)"):
                registry.aliases("employees")

        assert time.monotonic() - started < 60  # with the retries of MLflow as they are by default it takes two minutes

    def test_a_page_not_found_of_something_else_at_the_address_is_not_taken_for_an_empty_registry(self) -> None:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _NotFound)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with pytest.raises(RegistryError):
                Registry(f"http://127.0.0.1:{server.server_port}").aliases("employees")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _NotFound(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass
