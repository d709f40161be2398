"""Every data set of this repository goes the whole way by its contract alone: fake rows, ETL, trainings, aliases, scores."""

from uuid import uuid4

import numpy as np
import pytest

from deploy.embedded import temporary_servers
from hearth.contracts import Contract, list_contracts
from hearth.data.processed import load_profile
from hearth.fakes import FakeRecords
from hearth.jobs import etl
from hearth.jobs.promote import promote
from hearth.jobs.train import train
from hearth.modelling.scorer import Scorer
from hearth.registry import Registry
from hearth.storage import ObjectStore
from tests.support.samples import EMPLOYEES

OTHERS = [contract for contract in list_contracts() if contract.name != EMPLOYEES.name]  # which the other tests are about
ROWS = 2_000


@pytest.mark.parametrize("contract", OTHERS, ids=lambda contract: contract.name)
def test_a_data_set_is_a_folder(contract: Contract, object_store: temporary_servers.ObjectStore, mlflow_uri: str) -> None:
    store = ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key=object_store.secret_key
    )
    registry = Registry(mlflow_uri, revision="0123")
    fakes = FakeRecords.load(contract)
    content = fakes.frame(ROWS, seed=42).to_csv(index=False).encode()
    store.put(store.data_bucket, f"{contract.name}/raw/{contract.source.file}", content)

    digest = etl.process(contract.name, etl.validate(contract.name, etl.find_raw(contract.name, store=store), store=store), store=store)
    etl.log(contract.name, digest, store=store, registry=registry)
    etl.publish(contract.name, digest, store=store)
    key = uuid4().hex
    for family in contract.families:
        version = train(contract.name, family, digest=digest, trials=1, seed=1, key=key, store=store, registry=registry)
        assert promote(contract.name, family, version, store=store, registry=registry).passed

    assert set(load_profile(store, contract.name, digest).classes) == set(contract.target.classes)
    aliases = registry.aliases(contract.name)
    assert aliases.keys() >= {*contract.families, "champion"}
    champion = registry.version(contract.name, "champion")
    assert champion.metrics["macro_f1"] > 1.5 / len(contract.target.classes)
    scorer = Scorer(registry.load(champion), contract)
    scorer.require_contract(str(champion))
    scores = scorer.score(fakes.records(50, seed=7))
    np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1)
    assert set(scores.labels) <= set(contract.target.classes)
