"""Every error that Hearth raises on purpose.

    HearthError
    ├── InvalidSettings        a setting is missing or wrong, or production holds a laptop secret
    ├── InvalidContract        a contract.yaml says something that cannot be
    ├── InvalidModelParams     a model_params.yaml says something that cannot be
    ├── InvalidStatistics      a statistics.json cannot be drawn from
    ├── InvalidDrift           what fake records are asked to change cannot be done
    ├── UnknownDataset         no contract has this name
    ├── InvalidRecords         records break the contract; carries one problem for each
    ├── InvalidRawData         a raw file cannot be read, or too much of it breaks the contract
    ├── UntrainableData        a class of the data set has too few rows to train on
    ├── IngestError            batches cannot be taken from their source into the data database
    │   ├── SourceUnavailable  the source does not answer
    │   ├── SourceRefused      the source answers, but hands out nothing
    │   ├── InvalidBatch       what the source handed out is no batch of the data set
    │   ├── DataUnavailable    the data database does not answer
    │   └── TableMismatch      the table in the data database is not the contract's
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
    ├── InvalidCursor          a place in the list of predictions that cannot be read
    ├── StreamUnavailable      the Redis server does not answer
    ├── StreamFull             more messages wait than the bound allows; nothing was queued
    ├── UnknownMessage         neither stored, nor waiting, nor dead
    ├── UnknownVersion         the registry has no such version
    ├── AliasNotMoved          an alias must not, or cannot, be moved as was asked
    ├── InvalidKey             no API key, or one that nobody has
    ├── MissingScope           the key is not for this
    ├── TooManyRequests        a limit of requests in a time is reached
    ├── UnknownClass           the data set has no such class
    ├── InvalidFile            a file to be scored cannot be read as a table with the features of its data set
    ├── TooBusy                as much of this is being done as may be at once
    └── InvalidMessage         a message of the stream cannot be read

`code` is the stable word that clients see. `fault` says whose fault it is; each protocol maps the faults, not the classes, to its own
status in one file. To add an error: write its class below, with a `code` that no other has and a `fault` (without one it is taken for our
own failure: logged, and answered as such), and draw it into the tree above. Nothing else has to know of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

_LONGEST_VALUE = 80


class ErrorKind(Enum):
    """Whose fault an error is, which is what a protocol's status says."""

    CALLER = "what was sent is wrong"
    UNAUTHENTICATED = "the caller has not said, or not proved, who it is"
    FORBIDDEN = "the caller may not do this"
    NOT_FOUND = "what was asked for does not exist"
    CONFLICT = "it cannot be done as things are now"
    TOO_LARGE = "more was sent than is read"
    TOO_SLOW = "what was announced did not come in time"
    TOO_MANY = "the caller asks too often; later it works"
    UNAVAILABLE = "something that is needed is away; later it works"
    INTERNAL = "ours"

    @property
    def is_temporary(self) -> bool:
        """Whether the same call can succeed later without a change by anybody."""
        return self in {ErrorKind.TOO_SLOW, ErrorKind.TOO_MANY, ErrorKind.UNAVAILABLE}


class HearthError(Exception):
    """Base of all errors that Hearth raises on purpose."""

    code: ClassVar[str] = "error"
    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL
    retry_seconds: float = 5  # when to try again, for faults that pass; an error may know better


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


class InvalidModelParams(HearthError):
    """The file of parameters that models are trained with says something that cannot be."""

    code = "invalid_model_params"

    def __init__(self, path: Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {key}: {reason}")
        self.path, self.key, self.reason = path, key, reason


class InvalidStatistics(HearthError):
    """A statistics.json cannot be drawn from, or does not fit its contract."""

    code = "invalid_statistics"

    def __init__(self, path: Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {key}: {reason}")
        self.path, self.key, self.reason = path, key, reason


class InvalidDrift(HearthError):
    """What fake records are asked to change cannot be done."""

    code = "invalid_drift"
    kind = ErrorKind.CALLER

    def __init__(self, text: str, reason: str) -> None:
        forms = "COLUMN=AMOUNT/min, COLUMN=AMOUNTsd/min or COLUMN=CATEGORY+SHARE%/min"
        super().__init__(f"The drift {text!r} cannot be: {reason}. Write {forms}.")


class UnknownDataset(HearthError):
    """No contract has this name."""

    code = "unknown_dataset"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no data set {name!r}; there are: {', '.join(known) or 'none'}.")


class InvalidRecords(HearthError):
    """Records break the contract."""

    code = "invalid_records"
    kind = ErrorKind.CALLER

    def __init__(self, problems: Sequence[Problem]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = tuple(problems)


class InvalidRawData(HearthError):
    """A raw file cannot be read as the data set's table, or too much of it breaks the contract."""

    code = "invalid_raw_data"
    kind = ErrorKind.CALLER


class UntrainableData(HearthError):
    """A class of the data set has too few rows to train on."""

    code = "untrainable_data"

    def __init__(self, dataset: str, counts: Mapping[str, int], at_least: int) -> None:
        shown = ", ".join(f"{label}: {count}" for label, count in counts.items())
        super().__init__(f"{dataset!r} cannot be trained: each class needs {at_least} train rows, there are {shown}. Load more data.")


class IngestError(HearthError):
    """Batches cannot be taken from their source into the data database."""

    code = "ingest_error"


class SourceUnavailable(IngestError):
    """The source of batches does not answer."""

    code = "source_unavailable"
    kind = ErrorKind.UNAVAILABLE


class SourceRefused(IngestError):
    """The source of batches answers, but hands out nothing, and asking again will not help."""

    code = "source_refused"


class InvalidBatch(IngestError):
    """What the source handed out is no batch of the data set; nothing of it was stored."""

    code = "invalid_batch"
    kind = ErrorKind.UNAVAILABLE  # the next batch may be good


class DataUnavailable(IngestError):
    """The data database does not answer."""

    code = "data_unavailable"
    kind = ErrorKind.UNAVAILABLE


class TableMismatch(IngestError):
    """The table in the data database is not the one that the contract makes."""

    code = "table_mismatch"


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
    kind = ErrorKind.UNAVAILABLE


class UnknownFamily(HearthError):
    """No family of models has this name."""

    code = "unknown_family"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str, family: str, known: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} is not trained with {family!r}; its families are: {', '.join(known)}.")


class UnknownAlias(HearthError):
    """Not an alias that the data set can have."""

    code = "unknown_alias"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str, alias: str, known: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} has no alias {alias!r}; it can have: {', '.join(known)}.")


class ModelUnavailable(HearthError):
    """The alias carries no version yet, or the registry cannot be reached and nothing is loaded."""

    code = "model_unavailable"
    kind = ErrorKind.UNAVAILABLE

    def __init__(self, dataset: str, alias: str, reason: str) -> None:
        super().__init__(f"models:/{dataset}@{alias} cannot be served: {reason}")


class RegistryError(HearthError):
    """MLflow refused or failed a request."""

    code = "registry_error"
    kind = ErrorKind.UNAVAILABLE


class RegistryUnavailable(RegistryError):
    """MLflow does not answer."""

    code = "registry_unavailable"


class RefusedModel(HearthError):
    """A model file that must not be loaded."""

    code = "refused_model"
    kind = ErrorKind.CONFLICT


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
    kind = ErrorKind.UNAVAILABLE


class InvalidCursor(HearthError):
    """A place in the list of predictions that nobody has given out."""

    code = "invalid_cursor"
    kind = ErrorKind.CALLER

    def __init__(self, text: str) -> None:
        super().__init__(f"{_short(text)} is no cursor: take the one that came with the page before, or leave it out to begin anew.")


class StreamUnavailable(HearthError):
    """The Redis server does not answer."""

    code = "stream_unavailable"
    kind = ErrorKind.UNAVAILABLE


class StreamFull(HearthError):
    """More messages wait to be scored than the bound allows; nothing was queued."""

    code = "stream_full"
    kind = ErrorKind.TOO_MANY

    def __init__(self, name: str, length: int, given: int, bound: int) -> None:
        super().__init__(
            f"The stream {name!r} holds {length} messages that are not scored yet; with {given} more it would hold more than {bound}. "
            "Nothing was queued: send them again when the workers have caught up."
        )


class UnknownMessage(HearthError):
    """Nothing is known of a message: no prediction is stored for it, it does not wait, and it is not among the dead."""

    code = "unknown_message"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"Nothing is known of the message {message_id!r}: no prediction is stored for it, it does not wait in the stream, and it is "
            "not among the dead letters. It may be older than what is kept."
        )


class UnknownVersion(HearthError):
    """The registry has no such version of a data set's model."""

    code = "unknown_version"
    kind = ErrorKind.NOT_FOUND


class AliasNotMoved(HearthError):
    """An alias must not, or cannot, be moved as was asked; the registry is as it was."""

    code = "alias_not_moved"
    kind = ErrorKind.CONFLICT


class InvalidKey(HearthError):
    """A request has no API key, or one that nobody has."""

    code = "invalid_key"
    kind = ErrorKind.UNAUTHENTICATED


class MissingScope(HearthError):
    """The API key of a request is not for what it asks."""

    code = "missing_scope"
    kind = ErrorKind.FORBIDDEN

    def __init__(self, name: str, scope: str) -> None:
        super().__init__(f"The key {name!r} does not have the scope {scope!r}.")


class TooManyRequests(HearthError):
    """A limit of requests in a time is reached."""

    code = "too_many_requests"
    kind = ErrorKind.TOO_MANY

    def __init__(self, limit: str, retry_seconds: int) -> None:
        super().__init__(f"There were more than {limit}: try again in {retry_seconds} s.")
        self.retry_seconds = retry_seconds


class UnknownClass(HearthError):
    """The data set has no such class."""

    code = "unknown_class"
    kind = ErrorKind.CALLER

    def __init__(self, dataset: str, name: str, known: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} has no class {_short(name)}; expected one of: {', '.join(known)}.")


class InvalidFile(HearthError):
    """A file to be scored cannot be read as a table with the features of its data set; nothing of it was scored."""

    code = "invalid_file"
    kind = ErrorKind.CALLER


class TooBusy(HearthError):
    """As much of this is being done as may be at once."""

    code = "too_busy"
    kind = ErrorKind.UNAVAILABLE


class InvalidMessage(HearthError):
    """A message of the stream cannot be read, now or ever."""

    code = "invalid_message"
    kind = ErrorKind.CALLER
