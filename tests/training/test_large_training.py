"""Trainings on more rows than memory may hold, and row budgets. The limit is set low here, so the rows are few."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from sklearn.pipeline import Pipeline

from hearth.cards.card import JSON_FILE, MARKDOWN_FILE
from hearth.contracts import Contract, load_contract
from hearth.contracts.loading import contract_path
from hearth.data import processed
from hearth.data.cleaning import Split, digest
from hearth.errors import InvalidContract, StorageError
from hearth.jobs.train import Selection, _learning_curve, fit_within_budget, train
from hearth.jobs.training_data import open_split, open_test_set, within_budget
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.modelling.stored_matrix import StoredMatrix
from hearth.modelling.unusual_fit import fit_unusual
from hearth.registry import Registry
from hearth.storage import ObjectStore
from hearth.training import stored_fitting
from hearth.training.fitting import fit
from hearth.training.folds import FOLDS, require_different_rows, weighable
from tests.support.samples import EMPLOYEES, ROOT, sample_rows, sample_split
from tests.training.test_row_sample import stored

LIGHTGBM = FAMILIES["lightgbm"]
HEART, COVERTYPE = (load_contract(name, ROOT / "data") for name in ("heart", "covertype"))


def publish(store: ObjectStore, contract: Contract, split: Split) -> str:
    name = digest(split)
    processed.write_split(store, contract.name, name, split)
    processed.write_manifest(store, processed.Manifest(contract.name, name, len(split.X_train), len(split.X_test), "file"))
    return name


def trees(pipeline: Pipeline) -> str:
    return str(pipeline["model"].booster_.model_to_string())


@pytest.mark.parametrize("weighted", [False, True], ids=["all rows count the same", "weights"])
@pytest.mark.parametrize("contract", [EMPLOYEES, HEART, COVERTYPE], ids=lambda contract: contract.name)
def test_a_model_fitted_from_disk_is_the_one_fitted_on_the_frame(contract: Contract, tmp_path: Path, *, weighted: bool) -> None:
    split = sample_split(contract, train_rows=1_500)
    weights = np.random.default_rng(2).random(1_500) + 0.5 if weighted else None
    on_disk = stored(contract, split.X_train, split.y_train, tmp_path, weights)

    frame = fit(contract, split.X_train, split.y_train, LIGHTGBM, params=LIGHTGBM.defaults, seed=3, row_weights=weights)
    disk = stored_fitting.fit_stored(contract, split.X_train, split.y_train, on_disk, LIGHTGBM, params=LIGHTGBM.defaults, seed=3)

    assert trees(disk) == trees(frame)
    assert disk["model"].get_params() == frame["model"].get_params()
    np.testing.assert_array_equal(disk.predict_proba(split.X_test), frame.predict_proba(split.X_test))
    assert [path.name for path in tmp_path.iterdir()] == ["X_train.parquet"]


def test_a_matrix_on_disk_reads_like_one_in_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    values[7, 1] = np.nan

    matrix = StoredMatrix.write(tmp_path / "matrix", np.array_split(values, 4))

    assert len(matrix) == 50
    np.testing.assert_array_equal(matrix[10:37], values[10:37])
    np.testing.assert_array_equal(matrix[7], values[7])
    np.testing.assert_array_equal(matrix[3], values[3])
    np.testing.assert_array_equal(matrix[[4, 4, 0]], values[[4, 4, 0]])


def test_ranges_of_what_is_unusual_are_those_of_all_rows_on_disk(tmp_path: Path) -> None:
    X, y = sample_rows(EMPLOYEES, 2_000)
    on_disk = stored(EMPLOYEES, X, y, tmp_path)

    unusual = fit_unusual(EMPLOYEES, on_disk.sampled(1_000).frame(), 1, on_disk)

    assert unusual.rows == 2_000
    whole = fit_unusual(EMPLOYEES, X, 1)
    limits = [[(column.low, column.high) for column in each.columns if column.kind == "number"] for each in (unusual, whole)]
    assert limits[0] == limits[1]


class TestBudget:
    def contract(self, **most_rows: int) -> Contract:
        return EMPLOYEES.model_copy(update={"training": EMPLOYEES.training.model_copy(update={"most_rows": most_rows})})

    def test_rows_within_the_budget_are_the_very_same_frames(self) -> None:
        split = sample_split(EMPLOYEES, train_rows=1_000)

        for family in EMPLOYEES.families:
            used = within_budget(EMPLOYEES, family, split)

            assert used.X_train is split.X_train
            assert used.y_train is split.y_train
            assert used.stored_train is None

    def test_the_contract_has_the_last_word_and_the_same_rows_are_drawn_each_time(self) -> None:
        split = sample_split(EMPLOYEES, train_rows=3_000)

        first, again = (within_budget(self.contract(svm=1_000), "svm", split) for _ in range(2))

        assert len(first.X_train) == len(first.y_train) == 1_000
        pd.testing.assert_frame_equal(first.X_train, again.X_train)
        assert len(within_budget(self.contract(svm=1_000), "knn", split).X_train) == 3_000

    def test_weights_go_with_their_rows(self) -> None:
        split = sample_split(EMPLOYEES, train_rows=2_000)
        split = replace(split, weights_train=pd.Series(np.arange(2_000.0), name="weight"))

        used = within_budget(self.contract(svm=1_000), "svm", split)

        assert used.weights_train is not None
        rows = split.X_train.iloc[used.weights_train.astype(int)].reset_index(drop=True)
        pd.testing.assert_frame_equal(used.X_train, rows)

    @pytest.mark.parametrize("rows", [2_000, 900])
    def test_for_a_family_without_weights_copies_count_and_keep_their_shares(self, rows: int) -> None:
        heavy = np.arange(rows) < rows // 20
        weights = np.where(heavy, 19.0, 1.0)  # half of all weight
        split = replace(sample_split(EMPLOYEES, train_rows=rows), weights_train=pd.Series(weights / weights.mean(), name="weight"))

        used = within_budget(self.contract(knn=1_000), "knn", split)

        assert used.weights_train is not None
        assert used.weights_train.mean() == pytest.approx(1)
        assert len(used.train_codes) < min(rows, 1_000)
        assert not used.X_train.duplicated().any()
        fitted, _, _ = weighable(FAMILIES["knn"], used.X_train, used.y_train, used.weights_train.to_numpy())
        assert len(fitted) == 1_000
        is_heavy = pd.MultiIndex.from_frame(fitted).isin(pd.MultiIndex.from_frame(split.X_train[heavy]))
        assert 0.4 < is_heavy.mean() < 0.6

    def test_copies_within_the_budget_change_nothing(self) -> None:
        split = replace(sample_split(EMPLOYEES, train_rows=400), weights_train=pd.Series(np.repeat([0.5, 1.5], 200), name="weight"))

        used = within_budget(self.contract(knn=1_000), "knn", split)

        assert used.X_train is split.X_train
        assert used.weights_train is split.weights_train

    def test_a_class_of_few_different_rows_can_be_trained_within_a_budget(self) -> None:
        """5,000 rows that are copies of 200, as of patients that came many times."""
        split = sample_split(HEART, train_rows=200)
        y = pd.Series((np.arange(200) < 12).astype(np.int64), name=HEART.target.column)
        places = np.repeat(np.arange(200), 25)
        split = replace(split, X_train=split.X_train.iloc[places].reset_index(drop=True), y_train=y.iloc[places].reset_index(drop=True))
        contract = HEART.model_copy(update={"training": HEART.training.model_copy(update={"most_rows": {"svm": 1_000}})})

        used = within_budget(contract, "svm", split)

        assert len(used.X_train) == 1_000
        require_different_rows(contract, used.X_train, used.y_train, at_least=FOLDS)
        assert len(used.X_train[used.y_train == 1].drop_duplicates()) >= 10
        assert len(used.X_train.drop_duplicates()) > 180

    def test_each_family_of_the_catalogue_is_fitted_on_all_rows_of_the_demo(self) -> None:
        assert all(family.most_rows is None or family.most_rows >= 20_000 for family in FAMILIES.values())

    def test_a_budget_of_a_family_that_is_not_trained_is_a_mistake_of_the_contract(self, employees_renamed: Contract) -> None:
        path = contract_path(employees_renamed.name)
        content = yaml.safe_load(path.read_text("utf-8"))
        path.write_text(yaml.safe_dump({**content, "training": {"most_rows": {"forest": 5_000}}}), "utf-8")

        with pytest.raises(InvalidContract, match=r"training\.most_rows.*'forest'.*not in families"):
            load_contract(employees_renamed.name)


def test_rows_that_cannot_be_fitted_with_default_parameters_cost_the_curve_and_not_the_version(caplog: pytest.LogCaptureFixture) -> None:
    split = sample_split(EMPLOYEES, train_rows=5_000)
    split.X_train.loc[7, EMPLOYEES.numeric_features[0]] = np.inf

    assert _learning_curve(EMPLOYEES, split, Selection("svm", {}, "0", 1, 0.5, {}, "file")) == ({}, {})

    assert "employees: svm has no learning curve: Input X contains infinity" in caplog.text


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_ROWS_IN_MEMORY", "1000")


@pytest.mark.usefixtures("little_memory")
class TestLargeData:
    def test_memory_holds_a_sample_while_all_rows_lie_on_disk(self, store: ObjectStore, employees_renamed: Contract) -> None:
        contract = employees_renamed
        split = sample_split(contract, train_rows=2_500)
        name = publish(store, contract, split)

        with open_split(store, contract, name) as opened:
            assert opened.stored_train is not None
            assert (len(opened.X_train), len(opened.y_train), len(opened.stored_train)) == (1_000, 1_000, 2_500)
            assert opened.train_codes.tolist() == split.y_train.tolist()
            pd.testing.assert_frame_equal(pd.concat(list(opened.stored_train.frames()), ignore_index=True), split.X_train)
            pd.testing.assert_frame_equal(opened.X_test, split.X_test)
            for family, rows, on_disk in (("knn", 1_000, False), ("lightgbm", 2_500, True)):
                used = within_budget(contract, family, opened)
                assert (len(used.train_codes), used.stored_train is not None) == (rows, on_disk)
        assert not opened.stored_train.path.exists()

    def test_small_data_are_read_as_ever(self, store: ObjectStore, employees_renamed: Contract) -> None:
        split = sample_split(employees_renamed, train_rows=1_000)
        name = publish(store, employees_renamed, split)

        with open_split(store, employees_renamed, name) as opened:
            assert opened.stored_train is None
            pd.testing.assert_frame_equal(opened.X_train, processed.load_processed(store, employees_renamed.name, name).X_train)

    def test_the_test_set_is_read_without_a_frame_of_the_train_rows(self, store: ObjectStore, employees_renamed: Contract) -> None:
        split = sample_split(employees_renamed, train_rows=2_000)
        name = publish(store, employees_renamed, split)

        with open_test_set(store, employees_renamed, name) as opened:
            pd.testing.assert_frame_equal(opened.X_test, split.X_test)
            assert not isinstance(opened.X_train, pd.DataFrame)

    def test_objects_that_are_not_what_the_digest_names_are_refused(self, store: ObjectStore, employees_renamed: Contract) -> None:
        split = sample_split(employees_renamed, train_rows=2_000)
        name = publish(store, employees_renamed, split)
        key = processed.processed_key(employees_renamed.name, name, "X_train.parquet")
        store.put_frame(store.processed_bucket, key, split.X_train.iloc[::-1])

        with pytest.raises(StorageError, match="holds other data than its digest names"), open_split(store, employees_renamed, name):
            pass

    def test_lightgbm_is_fitted_on_all_rows_with_features_of_a_sample(self, store: ObjectStore, employees_renamed: Contract) -> None:
        contract = employees_renamed
        split = sample_split(contract, train_rows=2_500)
        name = publish(store, contract, split)

        with open_split(store, contract, name) as opened:
            used = within_budget(contract, "lightgbm", opened)
            pipeline = fit_within_budget(contract, "lightgbm", used, LIGHTGBM.defaults, 3).pipeline
            features = build_features(contract).fit(opened.X_train)

        model = pipeline["model"]
        booster = getattr(model, "estimator", model)
        expected = LIGHTGBM.build(LIGHTGBM.defaults, 3).fit(features.transform(split.X_train), split.y_train.to_numpy())
        assert booster.booster_.model_to_string() == expected.booster_.model_to_string()

    def test_a_budget_between_memory_and_all_rows_is_drawn_on_disk(self, store: ObjectStore, employees_renamed: Contract) -> None:
        contract = employees_renamed.model_copy(
            update={"training": employees_renamed.training.model_copy(update={"most_rows": {"lightgbm": 1_800}})}
        )
        name = publish(store, contract, sample_split(contract, train_rows=2_500))

        with open_split(store, contract, name) as opened:
            used = within_budget(contract, "lightgbm", opened)

            assert used.stored_train is not None
            assert len(used.stored_train) == sum(map(len, used.stored_train.frames())) == 1_800

    @pytest.mark.parametrize(("family", "fitted"), [("knn", 1_000), ("lightgbm", 2_500)])
    def test_run_card_and_log_say_on_how_many_rows_a_version_was_fitted(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        store: ObjectStore,
        registry: Registry,
        employees_renamed: Contract,
        caplog: pytest.LogCaptureFixture,
        family: str,
        fitted: int,
    ) -> None:
        contract = employees_renamed
        split = sample_split(contract, train_rows=2_500, test_rows=200)
        name = publish(store, contract, split)
        with caplog.at_level(logging.INFO, logger="hearth"):
            number = train(contract.name, family, digest=name, trials=1, seed=1, key="large", store=store, registry=registry)

        version = registry.version(contract.name, number)
        assert (version.metrics["train_rows"], version.metrics["fitted_rows"]) == (2_500, fitted)
        text = "1,000 of 2,500 rows" if fitted == 1_000 else "2,500 rows"
        assert f"{family} is fitted on {text}" in caplog.text
        card = registry.run_files(version, [MARKDOWN_FILE, JSON_FILE], 1 << 22)
        assert f"Fitted on {fitted:,} of 2,500 train rows" in card[MARKDOWN_FILE].decode()
        content = json.loads(card[JSON_FILE])
        assert content["data"]["train_rows"] == sum(content["data"]["train_classes"].values()) == 2_500
        run = MlflowClient(registry._connection.uri).get_run(version.run_id)
        assert run.inputs is not None
        rows = {entry.tags[0].value: json.loads(entry.dataset.profile or "{}")["num_rows"] for entry in run.inputs.dataset_inputs}
        assert rows == {"training": 2_500, "testing": 200}
        assert f"fitted on {text}" in (MlflowClient(registry._connection.uri).get_model_version(contract.name, number).description or "")
