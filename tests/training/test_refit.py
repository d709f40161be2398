"""A version that another release of scikit-learn has made is refused by name of the remedy, and the remedy works."""

import re

import numpy as np
import pytest
from mlflow import MlflowClient

from hearth.contracts import Contract
from hearth.errors import CannotRefit, IncompatibleModel, ModelUnavailable, ObjectNotFound
from hearth.jobs.promote import promote
from hearth.jobs.refit import refit
from hearth.jobs.train import train
from hearth.registry import RegisteredVersion, Registry
from hearth.storage import ObjectStore
from tests.support.samples import sample_split
from tests.support.versions import remake
from tests.training.test_train_pipeline import publish


@pytest.fixture
def contract(employees_renamed: Contract) -> Contract:
    return employees_renamed


@pytest.fixture
def digest(store: ObjectStore, contract: Contract) -> str:
    return publish(store, contract, sample_split(contract))


@pytest.fixture
def client(mlflow_uri: str) -> MlflowClient:
    return MlflowClient(mlflow_uri, mlflow_uri)


def trained(store: ObjectStore, registry: Registry, contract: Contract, digest: str, family: str = "lightgbm") -> RegisteredVersion:
    number = train(contract.name, family, digest=digest, trials=1, seed=7, key="first", store=store, registry=registry)
    promote(contract.name, family, number, store=store, registry=registry)
    return registry.version(contract.name, number)


@pytest.mark.parametrize("family", ["lightgbm", "svm", "knn"])
def test_a_version_of_an_older_release_is_fitted_again_to_the_same_model(  # noqa: PLR0913, PLR0917 - fixtures
    store: ObjectStore, registry: Registry, client: MlflowClient, contract: Contract, digest: str, family: str
) -> None:
    old = trained(store, registry, contract, digest, family)
    X = sample_split(contract).X_test
    expected = registry.load(old).predict_proba(X)
    remake(client, contract.name, old.version, "scikit-learn", "1.0.0")
    aliases = registry.aliases(contract.name)
    with pytest.raises(
        IncompatibleModel, match=rf"made with scikit-learn 1\.0\.0, but .*`hearth models refit {contract.name} {old.version}`"
    ):
        registry.load(registry.version(contract.name, old.version))

    done = refit(contract.name, old.version, store=store, registry=registry)

    assert done.new.version != old.version
    assert (done.new.digest, done.new.family, done.new.origin) == (old.digest, old.family, old.origin)
    assert {name: value for name, value in done.new.params.items() if name != "refit_of"} == dict(old.params)
    assert done.new.params["refit_of"] == old.version
    np.testing.assert_allclose(registry.load(done.new).predict_proba(X), expected, atol=1e-9)
    assert registry.aliases(contract.name) == aliases  # the gate has judged it, and moved nothing
    assert done.decision.passed
    assert done.new.tags["hearth.gate"] == "passed"
    assert done.new.approval is None


def test_a_second_refit_with_the_same_libraries_makes_no_second_version(
    store: ObjectStore, registry: Registry, contract: Contract, digest: str
) -> None:
    old = trained(store, registry, contract, digest, "knn")
    first = refit(contract.name, "champion", store=store, registry=registry)
    assert refit(contract.name, old.version, store=store, registry=registry).new.version == first.new.version
    assert len(registry.versions(contract.name)) == 2
    # equal to the one that has the alias, which can still be loaded here: the gate says which of the two it would rather have
    assert first.decision.reasons


def test_what_cannot_be_fitted_again_says_why(
    store: ObjectStore, registry: Registry, client: MlflowClient, contract: Contract, digest: str
) -> None:
    old = trained(store, registry, contract, digest, "knn")
    with pytest.raises(ModelUnavailable):
        refit(contract.name, "99", store=store, registry=registry)
    for key in list(store.keys(store.processed_bucket, f"{contract.name}/{digest}/manifest.json")):
        content = store.get(store.processed_bucket, key)
        store.delete(store.processed_bucket, key)
    with pytest.raises(ObjectNotFound, match=re.escape(digest)):
        refit(contract.name, old.version, store=store, registry=registry)
    store.put(store.processed_bucket, key, content)
    bare = client.create_run(client.get_run(old.run_id).info.experiment_id)
    tags = client.get_model_version(contract.name, old.version).tags
    tags = dict(tags) | {"hearth.training_key": "bare"}
    copy = client.create_model_version(contract.name, old.source, bare.info.run_id, tags=tags, model_id=old.model_id)
    with pytest.raises(CannotRefit, match=rf"models:/{contract.name}/{copy.version} cannot be fitted again: its run is gone.*Train a new"):
        refit(contract.name, str(copy.version), store=store, registry=registry)
