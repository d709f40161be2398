"""A data set with a champion whose answers are stored: what the monitor looks at."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import numpy as np
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.data.processed import load_processed
from hearth.fakes import FakeRecords
from hearth.fakes.drift import parse_drift
from hearth.jobs import etl
from hearth.jobs.monitor import Monitor
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.monitoring.window import features_of
from hearth.predictions.drift_store import DriftStore
from hearth.registry import NewVersion, Registry
from hearth.storage import ObjectStore
from tests.support.samples import ROOT, renamed_contract
from tests.support.served_records import store_answers

_ROWS = 3_000


class Site:
    """A data set with a champion, whose answers are stored."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry, drift: DriftStore) -> None:
        self.contract, self.store, self.registry, self.drift = contract, store, registry, drift
        self.fakes = FakeRecords.load(contract)
        self.monitor = Monitor(drift, store, registry)
        self.now = datetime.now(UTC) + timedelta(minutes=1)
        self.version, self.pipeline, self.seed = "", Pipeline([]), 100

    def train(self, seed: int = 1) -> None:
        """Run the ETL on generated rows, and make a version of them the champion."""
        content = self.fakes.frame(_ROWS, seed).to_csv(index=False).encode()
        self.store.put("data", f"{self.contract.name}/raw/{self.contract.source.file}", content)
        digest = etl.process(
            self.contract.name,
            etl.validate(self.contract.name, etl.find_raw(self.contract.name, store=self.store), store=self.store),
            store=self.store,
        )
        parts = load_processed(self.store, self.contract.name, digest)
        estimator = FAMILIES["logistic_regression"].final(FAMILIES["logistic_regression"].defaults, seed, len(parts.X_train))
        self.pipeline = Pipeline([("features", build_features(self.contract)), ("model", estimator)]).fit(parts.X_train, parts.y_train)
        new = NewVersion(self.contract.name, "logistic_regression", digest, uuid4().hex, self.pipeline, parts.X_test.head(2), {}, {}, {})
        self.version = self.registry.register(new).version
        self.registry.set_alias(self.contract.name, CHAMPION, self.version)

    def serve(self, count: int, drift: str = "", role: str = "answer") -> None:
        """Answer records as the champion does; `drift` is written as for the producer, and is whole from the first record on."""
        self.seed += 1
        records = self.fakes.records(count, self.seed)
        if drift:
            change = parse_drift([drift], [self.contract], {self.contract.name: records})[self.contract.name]
            records = [change.applied(record, 1.0, Random(row)) for row, record in enumerate(records)]
        self.answer(records, role)

    def answer(self, records: Sequence[Mapping[str, object]], role: str = "answer") -> None:
        """Answer these records as the champion does."""
        probabilities = np.asarray(self.pipeline.predict_proba(features_of(self.contract, records)))
        self.now = store_answers(self.drift, self.contract, self.version, records, probabilities, self.now, role) + timedelta(seconds=1)


def contract_with_statistics(data_dir: Path) -> Contract:
    """Write the employees' contract and statistics into a data folder under a name of their own."""
    contract = renamed_contract(data_dir, f"data_{uuid4().hex}")
    statistics = (ROOT / "data/employees/statistics.json").read_text("utf-8").replace('"employees"', f'"{contract.name}"')
    (data_dir / contract.name / "statistics.json").write_text(statistics, "utf-8")
    return contract
