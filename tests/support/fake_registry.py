"""The registry in memory: what `ModelSource` and `AliasAdmin` need of one, without MLflow and without training."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pandas as pd

from hearth.contracts import load_contract
from hearth.data.data_report import DataReport, Publication
from hearth.errors import ModelUnavailable, RegistryError, RegistryUnavailable
from hearth.registry import RegisteredModel, RegisteredVersion, StoredModel, Traffic
from tests.support.contracts import DATA, good_record

if TYPE_CHECKING:
    from hearth.modelling.trust import Trust


def stored(model: object, example: pd.DataFrame, trust: "Trust | None" = None) -> StoredModel:
    """What the files of a version would hold; the model needs only `predict_proba`."""
    return StoredModel(cast("Any", model), example, trust)


class ByDesignation:
    """Answers Low for designations 0 and 1, Medium for 2 and 3, High for 4 and 5."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        codes = (frame["Designation"].to_numpy() // 2).astype(int)
        probabilities: np.ndarray = np.eye(3)[codes] * 0.7 + 0.1
        return probabilities


class FakeRegistry:
    """Holds the versions of one data set. It can be away, it can refuse versions, and it counts its calls.

    Attributes:
        carried: the version that each alias carries.
        traffic: the share that a candidate answers.
        models: the pipeline of a version; all others have `model`.
        tags: of a version.
        trust: of all versions.
        files: of a version's run, by version and name.
        broken: what loading a version raises.
        deleted: the versions that there are no more.
        loads: the versions that were loaded, in order.
        published, reports: the publication of an experiment, and the report of a digest.
        made: when the registered model was created; a new one has other runs, whose ids start with another `run_prefix`.
        polls: how often the aliases were listed; `calls` counts the versions that were looked up too.
    """

    dataset: ClassVar[str] = "employees"
    family: ClassVar[str] = "knn"
    digest: ClassVar[str] = "digest"
    created: ClassVar[datetime] = datetime(2026, 11, 21, tzinfo=UTC)
    metrics: ClassVar[Mapping[str, float]] = {"macro_f1": 0.81, "accuracy": 0.83}

    def __init__(self, model: object = None, **carried: str) -> None:
        self.carried = carried
        self.model = model or ByDesignation()
        self.models: dict[str, object] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.trust: Trust | None = None
        self.files: dict[str, dict[str, bytes]] = {}
        self.traffic: Traffic | None = None
        self.away = False
        self.problem = "MLflow does not answer."
        self.broken: dict[str, Exception] = {}
        self.deleted: set[str] = set()
        self.loads: list[str] = []
        self.published: dict[str, Publication] = {}
        self.reports: dict[str, DataReport] = {}
        self.polls = self.calls = 0
        self.made = self.created
        self.run_prefix = "run"
        self.while_loading: Callable[[], object] = lambda: None
        self.while_reading: Callable[[], object] = lambda: None

    def aliases(self, dataset: str) -> dict[str, str]:
        self.polls += 1
        self._answer()
        return dict(self.carried) if dataset == self.dataset else {}

    def registered_model(self, dataset: str) -> RegisteredModel:
        return RegisteredModel(self.aliases(dataset), self.made, self.traffic if dataset == self.dataset else None)

    def registered_models(self, datasets: Iterable[str]) -> dict[str, RegisteredModel]:
        return {dataset: self.registered_model(dataset) for dataset in datasets}

    def version(self, dataset: str, name: str) -> RegisteredVersion:
        self._answer()
        number = name if name.isdecimal() else self.carried.get(name)
        if number is None:
            raise ModelUnavailable(dataset, name, "no version carries this alias yet.")
        if number in self.deleted:
            raise ModelUnavailable(dataset, name, f"version {number} is not in the registry.")
        tags = dict(self.tags.get(number, {}))
        return RegisteredVersion(dataset, number, self.family, self.digest, f"{self.run_prefix}-{number}", self.created, self.metrics, tags)

    def versions(self, dataset: str) -> list[RegisteredVersion]:
        numbers = {*self.carried.values(), *self.tags} if dataset == self.dataset else set()
        return [self.version(dataset, number) for number in sorted(numbers, key=int, reverse=True)]

    def load_with_example(self, version: RegisteredVersion) -> StoredModel:
        self.loads.append(version.version)
        self.while_loading()
        if version.version in self.broken:
            raise self.broken[version.version]
        example = pd.DataFrame([good_record(load_contract(version.dataset, DATA))])
        return stored(self.models.get(version.version, self.model), example, self.trust)

    def publication(self, experiment: str) -> Publication | None:
        self._answer()
        return self.published.get(experiment)

    def data_report(self, publication: Publication) -> DataReport:
        self._answer()
        return self.reports[publication.digest]

    def run_files(self, version: RegisteredVersion, names: Iterable[str], most_bytes: int) -> dict[str, bytes]:
        self._answer()
        self.while_reading()
        found = self.files.get(version.version, {})
        return {name: found[name] for name in names if name in found and len(found[name]) <= most_bytes}

    def set_alias(self, dataset: str, alias: str, version: str) -> None:
        assert dataset == self.dataset
        if version in self.deleted:
            raise RegistryError(f"Model Version (name={dataset}, version={version}) not found")
        self.carried[alias] = version

    def delete_alias(self, dataset: str, alias: str) -> None:
        assert dataset == self.dataset
        self.carried.pop(alias, None)

    def set_traffic(self, dataset: str, traffic: Traffic | None) -> None:
        assert dataset == self.dataset
        self.traffic = traffic

    def annotate(self, version: RegisteredVersion, tags: Mapping[str, str], description: str | None = None) -> None:  # noqa: ARG002 - the registry's interface
        self.tags.setdefault(version.version, {}).update(tags)

    def _answer(self) -> None:
        self.calls += 1
        if self.away:
            raise RegistryUnavailable(self.problem)
