"""Every error that Hearth raises on purpose.

    HearthError
    ├── InvalidSettings        a setting is missing or wrong, or production holds a laptop secret
    ├── InvalidContract        a contract.yaml says something that cannot be
    ├── InvalidStatistics      a statistics.json cannot be drawn from
    ├── UnknownDataset         no contract has this name
    ├── InvalidRecords         records break the contract; carries one problem for each
    ├── InvalidRawData         a raw file cannot be read, or too much of it breaks the contract
    ├── UntrainableData        a class of the data set has too few rows to train on
    ├── StorageError
    │   ├── ObjectNotFound     the bucket holds no such key
    │   └── StorageUnavailable the store does not answer
    ├── UnknownFamily          no family of models has this name
    ├── UnknownAlias           not an alias that the data set can have
    ├── ModelUnavailable       the alias carries no version yet, or the registry is away and nothing is loaded
    ├── RegistryError          MLflow refused or failed a request
    │   └── RegistryUnavailable MLflow does not answer
    ├── RefusedModel           a model file that must not be loaded
    │   ├── UntrustedModel     it holds types outside the allow-list
    │   └── IncompatibleModel  it was made by other library versions
    ├── PredictionsUnavailable the predictions store does not answer
    ├── StreamUnavailable      the Redis server does not answer
    └── InvalidMessage         a message of the stream cannot be read

`code` is the stable word that clients see; each protocol maps the classes to its own status in one file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_LONGEST_VALUE = 80


class HearthError(Exception):
    """Base of all errors that Hearth raises on purpose."""

    code = "error"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one record: where, what was given, what was expected."""

    row: int
    column: str
    value: object
    expected: str

    def __str__(self) -> str:
        return f"row {self.row}, {_short(self.column)}: got {_short(self.value)}, expected {self.expected}"

    def to_dict(self) -> dict[str, object]:
        """Return the problem as JSON-ready values."""
        return asdict(self)


def _short(value: object) -> str:
    """A record can hold anything of any length; a message should not."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


class InvalidSettings(HearthError):
    """A setting is missing or wrong, or production still holds a laptop secret."""

    code = "invalid_settings"


class InvalidContract(HearthError):
    """A contract says something that cannot be."""

    code = "invalid_contract"

    def __init__(self, path: Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {key}: {reason}")
        self.path, self.key, self.reason = path, key, reason


class InvalidStatistics(HearthError):
    """A statistics.json cannot be drawn from, or does not fit its contract."""

    code = "invalid_statistics"

    def __init__(self, path: Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {key}: {reason}")
        self.path, self.key, self.reason = path, key, reason


class UnknownDataset(HearthError):
    """No contract has this name."""

    code = "unknown_dataset"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no data set {name!r}; there are: {', '.join(known) or 'none'}.")


class InvalidRecords(HearthError):
    """Records break the contract."""

    code = "invalid_records"

    def __init__(self, problems: Sequence[Problem]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = tuple(problems)


class InvalidRawData(HearthError):
    """A raw file cannot be read as the data set's table, or too much of it breaks the contract."""

    code = "invalid_raw_data"


class UntrainableData(HearthError):
    """A class of the data set has too few rows to train on."""

    code = "untrainable_data"

    def __init__(self, dataset: str, counts: Mapping[str, int], at_least: int) -> None:
        shown = ", ".join(f"{label}: {count}" for label, count in counts.items())
        super().__init__(f"{dataset!r} cannot be trained: each class needs {at_least} train rows, there are {shown}. Load more data.")


class StorageError(HearthError):
    """The object store refused or failed a request."""

    code = "storage_error"


class ObjectNotFound(StorageError):
    """The bucket holds no such key."""

    code = "object_not_found"

    def __init__(self, bucket: str, key: str, hint: str = "") -> None:
        super().__init__(f"s3://{bucket}/{key} does not exist. {hint}".rstrip())
        self.bucket, self.key = bucket, key


class StorageUnavailable(StorageError):
    """The object store does not answer."""

    code = "storage_unavailable"


class UnknownFamily(HearthError):
    """No family of models has this name."""

    code = "unknown_family"

    def __init__(self, dataset: str, family: str, known: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} is not trained with {family!r}; its families are: {', '.join(known)}.")


class UnknownAlias(HearthError):
    """Not an alias that the data set can have."""

    code = "unknown_alias"

    def __init__(self, dataset: str, alias: str, known: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} has no alias {alias!r}; it can have: {', '.join(known)}.")


class ModelUnavailable(HearthError):
    """The alias carries no version yet, or the registry cannot be reached and nothing is loaded."""

    code = "model_unavailable"

    def __init__(self, dataset: str, alias: str, reason: str) -> None:
        super().__init__(f"models:/{dataset}@{alias} cannot be served: {reason}")


class RegistryError(HearthError):
    """MLflow refused or failed a request."""

    code = "registry_error"


class RegistryUnavailable(RegistryError):
    """MLflow does not answer."""

    code = "registry_unavailable"


class RefusedModel(HearthError):
    """A model file that must not be loaded."""

    code = "refused_model"


class UntrustedModel(RefusedModel):
    """A model file holds types outside the allow-list."""

    code = "untrusted_model"

    def __init__(self, where: str, types: Sequence[str]) -> None:
        super().__init__(f"{where} holds types that are not on the allow-list and was not loaded: {', '.join(types)}.")
        self.types = tuple(types)


class IncompatibleModel(RefusedModel):
    """A model was made by other library versions than the ones installed here."""

    code = "incompatible_model"

    def __init__(self, where: str, library: str, stored: str, installed: str) -> None:
        super().__init__(
            f"{where} was made with {library} {stored}, but {library} {installed} is installed: train again, or install {stored}."
        )


class PredictionsUnavailable(HearthError):
    """The predictions store does not answer."""

    code = "predictions_unavailable"


class StreamUnavailable(HearthError):
    """The Redis server does not answer."""

    code = "stream_unavailable"


class InvalidMessage(HearthError):
    """A message of the stream cannot be read, now or ever."""

    code = "invalid_message"
