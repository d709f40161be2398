"""The standing of every version on the present test set, on a real MLflow and a real store."""

from uuid import uuid4

import pandas as pd
import pytest

from hearth.contracts import Contract
from hearth.contracts.origins import Origin
from hearth.data import processed
from hearth.data.cleaning import Split, digest
from hearth.errors import ModelUnavailable
from hearth.jobs.standings import update_standings
from hearth.modelling.evaluation import score
from hearth.modelling.families import FAMILIES, Params
from hearth.modelling.standing import Standing
from hearth.registry import NewVersion, RegisteredVersion, Registry
from hearth.storage import ObjectStore
from hearth.training.tuning import fit
from tests.support.samples import sample_split


@pytest.fixture
def contract(employees_renamed: Contract) -> Contract:
    return employees_renamed


class Shop:
    """A data set with versions that are made by hand."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry) -> None:
        self.contract, self.store, self.registry = contract, store, registry

    def publish(self, split: Split, origin: Origin = "file") -> str:
        name = digest(split)
        manifest = processed.Manifest(self.contract.name, name, len(split.X_train), len(split.X_test), origin)
        processed.write_split(self.store, self.contract.name, name, split)
        processed.write_manifest(self.store, manifest)
        processed.write_latest(self.store, manifest)
        return name

    def register(self, split: Split, origin: Origin = "file") -> str:
        params: Params = {"n_neighbors": 50, "weights": "distance"}
        pipeline = fit(self.contract, split.X_train, split.y_train, FAMILIES["knn"], params=params, seed=1)
        example = split.X_test.head(2)
        new = NewVersion(self.contract.name, "knn", digest(split), uuid4().hex, pipeline, example, {}, {"macro_f1": 0.0}, {}, origin)
        return self.registry.register(new).version

    def update(self) -> list[str]:
        return update_standings(self.contract.name, store=self.store, registry=self.registry)

    def standing(self, version: str) -> Standing:
        standing = self.registry.version(self.contract.name, version).standing
        assert standing is not None
        return standing


@pytest.fixture
def shop(contract: Contract, store: ObjectStore, registry: Registry) -> Shop:
    return Shop(contract, store, registry)


def test_all_versions_are_scored_on_the_test_set_that_was_published_last_and_only_once(shop: Shop) -> None:
    first, second = (sample_split(shop.contract, seed=seed) for seed in (1, 2))
    shop.publish(first)
    shop.register(first)
    shop.register(first)

    assert shop.update() == ["2", "1"]
    assert shop.update() == []
    name = shop.publish(second)
    assert shop.update() == ["2", "1"]

    standing = shop.standing("1")
    assert (standing.digest, standing.origin, standing.rows, standing.metric) == (name, "file", len(second.X_test), "macro_f1")
    pipeline = shop.registry.load(shop.registry.version(shop.contract.name, "1"))
    assert standing.score is not None
    assert standing.score.figure == pytest.approx(score(shop.contract, pipeline, second.X_test, second.y_test))
    assert standing.score.low < standing.score.figure < standing.score.high
    assert standing.problem == ""


def test_rows_that_a_version_was_trained_on_do_not_count_for_it(shop: Shop) -> None:
    old, new = (sample_split(shop.contract, seed=seed) for seed in (1, 2))
    mixed = Split(
        new.X_train,
        pd.concat([new.X_test, old.X_train], ignore_index=True),
        new.y_train,
        pd.concat([new.y_test, old.y_train], ignore_index=True),
    )
    shop.publish(old)
    shop.register(old)
    shop.publish(mixed)
    shop.register(mixed)

    shop.update()

    assert shop.standing("1").rows == len(new.X_test)
    assert shop.standing("2").rows == len(mixed.X_test)


def test_a_version_of_generated_data_has_a_score_and_no_claim_once_real_data_are_published(shop: Shop) -> None:
    demo, real = (sample_split(shop.contract, seed=seed) for seed in (1, 2))
    shop.publish(demo, "generated")
    shop.register(demo, "generated")
    shop.update()
    assert shop.standing("1").problem == ""

    name = shop.publish(real)
    shop.update()

    assert shop.standing("1").score is not None
    assert shop.standing("1").problem == f"it was made from generated data, and real data are published ({name})"


def test_a_tag_does_not_make_real_what_was_generated(shop: Shop) -> None:
    demo, real = (sample_split(shop.contract, seed=seed) for seed in (1, 2))
    shop.publish(demo, "generated")
    shop.register(demo, "file")
    shop.publish(real)

    shop.update()

    assert not shop.standing("1").has_claim


def test_a_version_that_cannot_be_loaded_stands_with_the_reason(shop: Shop) -> None:
    split = sample_split(shop.contract)
    shop.publish(split)
    version = shop.registry.version(shop.contract.name, shop.register(split))
    shop.registry.annotate(version, {"hearth.libraries": "scikit-learn 1.0"})

    assert shop.update() == ["1"]
    assert shop.standing("1").score is None
    assert "scikit-learn 1.0" in shop.standing("1").problem


def test_before_anything_is_published_there_is_nothing_to_stand_on(shop: Shop) -> None:
    assert shop.update() == []


def test_a_version_that_is_deleted_meanwhile_is_left_out(shop: Shop, mlflow_uri: str) -> None:
    split = sample_split(shop.contract)
    shop.publish(split)
    shop.register(split)
    shop.register(split)

    class Losing(Registry):
        def version(self, dataset: str, name: str) -> RegisteredVersion:
            if name == "2":
                raise ModelUnavailable(dataset, name, "it was deleted.")
            return super().version(dataset, name)

    assert update_standings(shop.contract.name, store=shop.store, registry=Losing(mlflow_uri)) == ["1"]
