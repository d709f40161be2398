import threading
from pathlib import Path
from uuid import uuid4

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from hearth.audit import Actor, AuditStore, acting
from hearth.audit.store import AuditFilter
from hearth.contracts import Contract
from hearth.contracts.experiment_names import final_experiment, trials_experiment
from hearth.contracts.origins import Origin
from hearth.data import processed
from hearth.data.cleaning import Split, digest
from hearth.errors import ObjectNotFound, RegistryUnavailable, UnknownFamily
from hearth.jobs import audit_rows
from hearth.jobs.promote import promote
from hearth.jobs.train import train
from hearth.modelling.approval import Approval, ApprovalState
from hearth.modelling.evaluation import score
from hearth.modelling.families import FAMILIES, Params
from hearth.modelling.gate import Decision
from hearth.predictions.migration import migrate
from hearth.registry import NewVersion, RegisteredVersion, Registry
from hearth.storage import ObjectStore
from hearth.training.tuning import fit
from tests.support.samples import sample_split
from tests.support.versions import remake

GOOD: Params = {"n_neighbors": 150, "weights": "uniform"}
POOR: Params = {"n_neighbors": 5, "weights": "uniform"}
WORST: Params = {"n_neighbors": 299, "weights": "uniform"}  # nearly all rows: always the same class
BY_HEART: Params = {"n_neighbors": 1, "weights": "distance"}


@pytest.fixture
def contract(employees_renamed: Contract) -> Contract:
    return employees_renamed


def publish(store: ObjectStore, contract: Contract, split: Split, origin: Origin = "unknown") -> str:
    name = digest(split)
    processed.write_split(store, contract.name, name, split)
    processed.write_manifest(store, processed.Manifest(contract.name, name, len(split.X_train), len(split.X_test), origin))
    processed.note_origin(store, contract.name, name, origin)
    processed.write_latest(store, processed.read_manifest(store, contract.name, name))
    return name


class Shop:
    """A data set with a registry and a store in which versions can be made by hand."""

    def __init__(
        self, contract: Contract, store: ObjectStore, registry: Registry, split: Split | None = None, origin: Origin = "unknown"
    ) -> None:
        self.contract, self.store, self.registry, self.origin = contract, store, registry, origin
        self.split = split or sample_split(contract, test_rows=600)  # so many that noise is smaller than what the models differ by
        self.digest = publish(store, contract, self.split, origin)

    def register(self, family: str = "knn", params: Params = GOOD) -> str:
        """Register a nearest-neighbour model for any family: only how well it does matters here."""
        pipeline = fit(self.contract, self.split.X_train, self.split.y_train, FAMILIES["knn"], params=params, seed=1)
        new = NewVersion(
            self.contract.name,
            family,
            self.digest,
            uuid4().hex,
            pipeline,
            self.split.X_test.head(2),
            {},
            {"macro_f1": 0.0},
            {},
            self.origin,
        )
        return self.registry.register(new).version

    def promote(self, version: str, family: str = "knn", registry: Registry | None = None) -> Decision:
        return promote(self.contract.name, family, version, store=self.store, registry=registry or self.registry)

    def score(self, version: str, X: pd.DataFrame, y: pd.Series) -> float:
        return score(self.contract, self.registry.load(self.registry.version(self.contract.name, version)), X, y)

    def aliases(self) -> dict[str, str]:
        return self.registry.aliases(self.contract.name)


@pytest.fixture
def shop(contract: Contract, store: ObjectStore, registry: Registry) -> Shop:
    return Shop(contract, store, registry)


class TestTrain:
    def train(self, shop: Shop, key: str = "run-1", registry: Registry | None = None) -> str:
        return train(
            shop.contract.name, "knn", digest=shop.digest, trials=2, seed=1, key=key, store=shop.store, registry=registry or shop.registry
        )

    def runs(self, shop: Shop, experiment: str) -> list[mlflow.entities.Run]:
        client = MlflowClient(shop.registry._connection.uri)
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        return list(client.search_runs([found.experiment_id], f"tags.`hearth.dataset` = '{shop.contract.name}'"))

    def test_a_training_makes_one_version_with_its_trials_and_what_the_test_set_says(self, shop: Shop) -> None:
        version = shop.registry.version(shop.contract.name, self.train(shop))

        assert (version.version, version.family, version.digest) == ("1", "knn", shop.digest)
        assert version.metrics["macro_f1"] > 0.6
        assert {"macro_precision", "macro_recall", "accuracy", "log_loss", "calibration_error", "cv_macro_f1"} <= version.metrics.keys()
        assert (version.metrics["train_rows"], version.metrics["test_rows"]) == (300, 600)
        assert {"cv_log_loss", "cv_calibration_error", "set_coverage", "set_coverage_high", "set_size"} <= version.metrics.keys()
        trust = shop.registry.load_with_example(version).trust
        assert trust is not None
        assert trust.sets is not None
        assert trust.sets.level == shop.contract.sets.level
        assert trust.unusual is not None
        trust.unusual.require_contract(shop.contract, "the version")
        [final] = self.runs(shop, final_experiment(shop.contract))
        assert {"n_neighbors", "weights", "algorithm", "trials", "seed", "digest", "calibration"} == final.data.params.keys()
        assert len(self.runs(shop, trials_experiment(shop.contract, "knn"))) == 3  # the study and two trials
        pictures = MlflowClient(shop.registry._connection.uri).list_artifacts(version.run_id, "figures")
        names = {
            *("confusion_matrix", "contributions", "groups", "importances"),
            *("partial_dependence", "precision_recall", "reliability", "shap_summary"),
        }
        assert {Path(picture.path).stem for picture in pictures} - {"slices"} == names

    def test_search_and_final_run_name_the_data_that_they_read(self, shop: Shop) -> None:
        self.train(shop)

        [final] = self.runs(shop, final_experiment(shop.contract))
        [study] = [run for run in self.runs(shop, trials_experiment(shop.contract, "knn")) if "hearth.trial" not in run.data.tags]
        for run, contexts in ((study, {"training"}), (final, {"training", "testing"})):
            assert run.inputs is not None
            assert {entry.tags[0].value for entry in run.inputs.dataset_inputs} == contexts
            assert {entry.dataset.digest for entry in run.inputs.dataset_inputs} == {shop.digest}
            assert all(f"s3://processed/{shop.contract.name}/{shop.digest}/" in entry.dataset.source for entry in run.inputs.dataset_inputs)

    def test_a_training_moves_no_alias(self, shop: Shop) -> None:
        self.train(shop)

        assert shop.aliases() == {}

    def test_the_same_occasion_gives_the_same_version_and_another_one_a_new_one(self, shop: Shop) -> None:
        assert [self.train(shop), self.train(shop), self.train(shop, key="run-2")] == ["1", "1", "2"]
        assert len(self.runs(shop, final_experiment(shop.contract))) == 2

    def test_a_training_that_was_interrupted_before_it_registered_starts_again(self, shop: Shop, mlflow_uri: str) -> None:
        class Breaking(Registry):
            def register(self, new: NewVersion) -> RegisteredVersion:
                raise RegistryUnavailable(f"gone away with {new.training_key}")

        with pytest.raises(RegistryUnavailable):
            self.train(shop, registry=Breaking(mlflow_uri))

        assert self.train(shop) == "1"
        assert len(self.runs(shop, trials_experiment(shop.contract, "knn"))) == 3

    def test_data_that_the_etl_has_not_written_are_named_with_what_to_run(self, shop: Shop) -> None:
        with pytest.raises(ObjectNotFound, match=f"{shop.contract.name}/feed.*Run the DAG"):
            train(shop.contract.name, "knn", digest="feed", trials=1, seed=1, key="x", store=shop.store, registry=shop.registry)

    def test_a_family_that_the_contract_does_not_name_is_refused(self, shop: Shop) -> None:
        with pytest.raises(UnknownFamily, match="is not trained with 'tarot'; its families are: knn, svm, lightgbm"):
            train(shop.contract.name, "tarot", digest=shop.digest, trials=1, seed=1, key="x", store=shop.store, registry=shop.registry)


class TestPromote:
    def test_the_models_of_these_tests_are_as_good_as_their_names(self, shop: Shop) -> None:
        scores = [shop.score(shop.register(params=params), shop.split.X_test, shop.split.y_test) for params in (WORST, POOR, GOOD)]

        assert scores[0] < scores[1] < scores[2]

    def test_the_first_version_takes_its_familys_alias_and_is_champion(self, shop: Shop) -> None:
        decision = shop.promote(shop.register())

        assert decision.passed
        assert shop.aliases() == {"knn": "1", "champion": "1"}

    def test_a_worse_version_leaves_the_alias_where_it_is_and_says_why(self, shop: Shop) -> None:
        shop.promote(shop.register())

        decision = shop.promote(shop.register(params=WORST))

        assert not decision.passed
        assert shop.aliases() == {"knn": "1", "champion": "1"}
        assert shop.registry.version(shop.contract.name, "2").tags["hearth.gate"] == "refused"
        description = MlflowClient(shop.registry._connection.uri).get_model_version(shop.contract.name, "2").description or ""
        assert "version 1, which carries 'knn', has" in description
        assert description.splitlines()[0] == f"**Decision:** {decision.reasons[0]}"

    def test_the_same_model_again_moves_no_alias(self, shop: Shop) -> None:
        shop.promote(shop.register())

        assert not shop.promote(shop.register()).passed
        assert shop.aliases() == {"knn": "1", "champion": "1"}

    def test_the_decision_is_kept_with_the_comparison_as_a_tag_and_in_the_run(self, shop: Shop, mlflow_uri: str) -> None:
        shop.promote(shop.register(params=POOR))
        decision = shop.promote(shop.register())

        version = shop.registry.version(shop.contract.name, "2")
        assert Decision.from_json(version.tags["hearth.decision"]) == decision
        assert decision.verdict is not None
        assert decision.verdict.comparison is not None
        assert decision.verdict.comparison.rows == decision.rows == 600
        assert "gate.json" in {file.path for file in MlflowClient(mlflow_uri).list_artifacts(version.run_id)}

    def test_a_version_whose_run_was_deleted_is_judged_too(self, shop: Shop, mlflow_uri: str) -> None:
        version = shop.register()
        MlflowClient(mlflow_uri).delete_run(shop.registry.version(shop.contract.name, version).run_id)

        assert shop.promote(version).passed
        assert shop.registry.version(shop.contract.name, version).tags["hearth.gate"] == "passed"

    def test_a_better_family_becomes_champion_and_the_one_before_is_kept(self, shop: Shop) -> None:
        shop.promote(shop.register("knn", POOR))

        decision = shop.promote(shop.register("svm", GOOD), "svm")

        assert decision.champion == "2"
        assert shop.aliases() == {"knn": "1", "svm": "2", "champion": "2", "previous": "1"}

    def test_promoting_twice_changes_nothing(self, shop: Shop) -> None:
        shop.promote(shop.register("knn", POOR))
        shop.promote(shop.register("svm", GOOD), "svm")
        before = shop.aliases()

        shop.promote("2", "svm")
        shop.promote("1", "knn")

        assert shop.aliases() == before

    def test_a_present_version_of_other_libraries_makes_room(self, shop: Shop, mlflow_uri: str) -> None:
        shop.promote(shop.register())
        remake(MlflowClient(mlflow_uri), shop.contract.name, "1", "scikit-learn", "1.0")

        decision = shop.promote(shop.register(params=WORST))

        assert decision.passed
        assert shop.aliases() == {"knn": "2", "champion": "2", "previous": "1"}
        assert "could not be compared: models:/" in decision.reasons[0]
        assert "scikit-learn 1.0" in decision.reasons[0]

    def test_a_version_of_other_libraries_never_gets_an_alias(self, shop: Shop, mlflow_uri: str) -> None:
        version = shop.register()
        remake(MlflowClient(mlflow_uri), shop.contract.name, version, "lightgbm", "1.0")

        assert not shop.promote(version).passed
        assert shop.aliases() == {}

    def test_rows_that_the_present_version_learnt_by_heart_do_not_count_for_it(self, shop: Shop) -> None:
        """After new data have come, old train rows are test rows; by distance, nearest neighbours would know all of them."""
        shop.promote(shop.register(params=BY_HEART))
        old, fresh = shop.split, sample_split(shop.contract, seed=9)
        X_test, y_test = (
            pd.concat([old.X_train, fresh.X_test], ignore_index=True),
            pd.concat([old.y_train, fresh.y_test], ignore_index=True),
        )
        later = Shop(shop.contract, shop.store, shop.registry, Split(fresh.X_train, X_test, fresh.y_train, y_test))

        decision = later.promote(later.register())

        on_all_rows = [shop.score(version, X_test, y_test) for version in ("1", "2")]
        assert on_all_rows[0] > on_all_rows[1]
        assert decision.passed
        assert shop.aliases()["knn"] == "2"


class TestPromotionAfterRealDataCame:
    """A demo, then the real file: what the demo's rows have taught has no claim to any alias."""

    def test_versions_of_generated_data_make_room_and_get_nothing_back(self, shop: Shop) -> None:
        demo = Shop(shop.contract, shop.store, shop.registry, sample_split(shop.contract, test_rows=600, seed=4), "generated")
        for family in ("knn", "svm"):
            assert demo.promote(demo.register(family, GOOD), family).passed
        assert shop.aliases() == {"knn": "1", "svm": "2", "champion": "1"}
        real = Shop(shop.contract, shop.store, shop.registry, shop.split, "file")

        decision = real.promote(real.register("knn", WORST))

        assert decision.passed
        assert decision.origin == "file"
        assert "could not be compared: it was made from generated data, and real data are published" in decision.reasons[0]
        assert shop.aliases() == {"knn": "3", "svm": "2", "champion": "3", "previous": "1"}
        again = demo.promote(demo.register("knn", GOOD))
        assert not again.passed
        assert shop.aliases()["knn"] == shop.aliases()["champion"] == "3"


class TestPromotionsAtTheSameTime:
    def test_the_best_family_is_champion_after_all(self, shop: Shop) -> None:
        versions = {"knn": shop.register("knn", WORST), "svm": shop.register("svm", POOR), "lightgbm": shop.register("lightgbm", GOOD)}
        threads = [threading.Thread(target=shop.promote, args=(version, family)) for family, version in versions.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        aliases = shop.aliases()
        assert {family: aliases[family] for family in versions} == versions
        assert aliases["champion"] == versions["lightgbm"]

    @pytest.mark.parametrize("at", ["champion", "previous"])
    def test_a_decision_that_another_promotion_overtakes_is_taken_back(self, shop: Shop, mlflow_uri: str, at: str) -> None:
        """The other promotion runs from start to end between the last look at the aliases and the move."""
        shop.promote(shop.register("knn", WORST))
        better, best = shop.register("svm", POOR), shop.register("lightgbm", GOOD)

        class Overtaken(Registry):
            overtaken = False

            def set_alias(self, dataset: str, alias: str, version: str) -> None:
                if alias == at and not self.overtaken:
                    self.overtaken = True
                    shop.promote(best, "lightgbm")
                super().set_alias(dataset, alias, version)

        registry = Overtaken(mlflow_uri)
        decision = shop.promote(better, "svm", registry=registry)

        assert registry.overtaken
        assert decision.champion == best
        assert shop.aliases()["champion"] == best

    def test_a_promotion_records_what_it_moved_and_nothing_that_others_did(
        self, shop: Shop, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch, fresh_database: str
    ) -> None:
        """A person moves an alias, and another family is promoted, while a decision is made."""
        migrate(fresh_database)
        monkeypatch.setenv("HEARTH_MONITOR_URL", fresh_database)
        shop.promote(shop.register("knn", WORST))
        better, best = shop.register("svm", POOR), shop.register("lightgbm", GOOD)

        class Beside(Registry):
            def set_alias(self, dataset: str, alias: str, version: str) -> None:
                super().set_alias(dataset, alias, version)
                if alias == "svm":
                    with acting(Actor("airflow", "another", "airflow")):
                        shop.promote(best, "lightgbm")
                    shop.registry.set_alias(dataset, "knn", best)

        with acting(Actor("airflow", "one", "airflow")):
            shop.promote(better, "svm", registry=Beside(mlflow_uri))

        with AuditStore(fresh_database) as audit:
            found = [(row.actor.name, row.alias, row.version) for row in reversed(audit.entries(100, AuditFilter(action="promoted")))]
        assert [row for row in found if row[0] == "one"] == [("one", "svm", better)]
        assert [row for row in found if row[0] == "another"] == [("another", "lightgbm", best), ("another", "champion", best)]

    def test_an_answer_that_a_retry_takes_again_is_one_row(self, fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        migrate(fresh_database)
        monkeypatch.setenv("HEARTH_MONITOR_URL", fresh_database)
        states: tuple[ApprovalState, ...] = ("approved", "approved", "refused")
        for state in states:
            audit_rows.record(audit_rows.answered("heart", "knn", "7", Approval(state, "ada", "2026-11-30T10:00:00+00:00")))

        with AuditStore(fresh_database) as audit:
            assert [row.detail["answer"] for row in audit.entries(9, AuditFilter())] == ["refused", "approved"]

    def test_a_promotion_that_died_between_two_moves_is_finished_when_it_runs_again(self, shop: Shop, mlflow_uri: str) -> None:
        shop.promote(shop.register("knn", POOR))
        version = shop.register("svm", GOOD)

        class Dying(Registry):
            def set_alias(self, dataset: str, alias: str, version: str) -> None:
                if alias == "champion":
                    raise RegistryUnavailable("gone away")
                super().set_alias(dataset, alias, version)

        with pytest.raises(RegistryUnavailable):
            shop.promote(version, "svm", registry=Dying(mlflow_uri))
        assert shop.aliases() == {"knn": "1", "svm": "2", "previous": "1", "champion": "1"}

        shop.promote(version, "svm")

        assert shop.aliases() == {"knn": "1", "svm": "2", "previous": "1", "champion": "2"}
