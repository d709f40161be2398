"""A data set whose champion has answered records, and whose labels have come in: what a retraining works with."""

from pathlib import Path
from typing import Any, Self

import pandas as pd
import yaml

from hearth.alerts.alert_store import AlertStore
from hearth.contracts import Contract
from hearth.contracts.loading import read_contract
from hearth.data.cleaning import target_codes
from hearth.data.processed import latest_digest
from hearth.jobs import etl
from hearth.jobs.retrain import Retraining
from hearth.predictions.label import Label
from hearth.predictions.label_store import LabelStore
from hearth.predictions.retrain_store import RetrainStore
from hearth.registry import Registry
from hearth.storage import ObjectStore
from tests.support.monitored_site import Site, contract_with_statistics

WORDS = {"minimum_labels": 400, "held_out": 500}


def retrained_contract(data_dir: Path, **words: Any) -> Contract:
    """Write a contract with statistics whose families train fast and that retrains on few labels."""
    contract = contract_with_statistics(data_dir)
    path = data_dir / contract.name / "contract.yaml"
    content = yaml.safe_load(path.read_text("utf-8"))
    content |= {"families": ["logistic_regression", "lightgbm"], "calibration": "none", "retrain": {**WORDS, **words}}
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return read_contract(path)


class LabelledSite(Site):
    """A site whose ETL was published, with the stores that a retraining needs."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry, url: str) -> None:
        self.retrains, self.labels, self.alerts = RetrainStore(url), LabelStore(url), AlertStore(url)
        super().__init__(contract, store, registry, self.retrains)

    def __enter__(self) -> Self:
        for opened in (self.retrains, self.labels, self.alerts):
            opened.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for opened in (self.retrains, self.labels, self.alerts):
            opened.__exit__()

    @property
    def retraining(self) -> Retraining:
        """A fresh process, as each task of a DAG is one."""
        return Retraining(self.contract.name, self.retrains, self.labels, self.alerts, self.store, self.registry)

    def publish(self) -> str:
        """Make a champion, and publish its data as those that trainings take."""
        self.train()
        digest = self.registry.version(self.contract.name, self.version).digest
        etl.publish(self.contract.name, digest, store=self.store)
        return latest_digest(self.store, self.contract.name)

    def serve_labelled(self, count: int, *, concept: float = 0.0, drift: str = "") -> str:
        """Answer records whose labels come at once; `concept` is added to the target before it is cut into classes."""
        started = self.now
        self.serve(count, drift)
        column = self.contract.columns[self.contract.target.column]
        raw = self.fakes.frame(count, self.seed)[self.contract.target.column].astype("float64") + concept
        codes = target_codes(self.contract, pd.Series(raw.clip(column.minimum, column.maximum)).fillna(column.minimum))  # type: ignore[union-attr]  # a number
        classes, message_id = self.contract.target.classes, f"{started.timestamp():.3f}"
        self.labels.add(
            [
                Label(message_id, row, self.contract.name, code, classes[code], self.now, "test", "rest")
                for row, code in enumerate(codes.tolist())
            ]
        )
        return message_id
