"""Every error that Hearth raises on purpose.

    HearthError
    ├── InvalidSettings        a setting is missing or wrong, or production holds a laptop secret
    ├── InvalidContract        a contract.yaml has a mistake
    ├── InvalidModelParams     a model_params.yaml has a mistake
    ├── InvalidStatistics      a statistics.json has a mistake
    ├── InvalidDrift           a drift of fake records is malformed or impossible
    ├── UnknownDataset         no contract has this name
    ├── InvalidRecords         records break the contract; holds one problem for each
    ├── InvalidRawData         a raw file cannot be read, or too many of its rows break the contract
    ├── UntrainableData        a class of the data set has too few rows to train on
    ├── SearchFailed           every trial of a search for parameters has failed
    ├── SearchInterrupted      a search by several processes has ended before its trials
    ├── SearchRemoved          a search was removed, or begun anew, while somebody worked on it
    ├── StudiesUnavailable     the database of searches does not answer
    ├── ShiftedData            new data differ too much from the data that were published last
    ├── SuspiciousData         findings of a raw file that the contract does not let pass
    ├── IngestError            batches cannot be loaded from their source into the data database
    │   ├── SourceUnavailable  the source does not answer
    │   ├── SourceRefused      the source answers, but has no batch for us
    │   ├── InvalidBatch       a batch of the source breaks the contract
    │   ├── DataUnavailable    the data database does not answer
    │   └── TableMismatch      the table in the data database is not the contract's
    ├── StorageError
    │   ├── ObjectNotFound     the bucket holds no such key
    │   ├── ObjectChanged      an object was written anew while it was read
    │   └── StorageUnavailable the store does not answer
    ├── BackupError            a backup cannot be made or restored
    │   ├── BackupUnavailable  a server that it needs does not answer
    │   ├── InvalidBackup      it is damaged, not whole, or of another key
    │   └── StackNotEmpty      a restore would replace data
    ├── NewerSchema            the predictions store was migrated by a newer release
    ├── HousekeepingRefused    nothing may be removed, because what was found does not belong together
    ├── UnknownFamily          no family of models has this name
    ├── UnknownAlias           the data set cannot have this alias
    ├── ModelUnavailable       no version carries the alias, or nothing is loaded and the registry does not answer
    ├── RegistryError          MLflow refused or failed a request
    │   └── RegistryUnavailable MLflow does not answer
    ├── DataNotPublished       no data of the data set were published, or without a report
    ├── RefusedModel           a model file that must not be loaded
    │   ├── UntrustedModel     it holds types outside the allow-list
    │   └── IncompatibleModel  it was trained with other library versions
    ├── CannotRefit            a version cannot be fitted again as it was
    ├── NotKept                a version was trained before it kept what a request asks for
    ├── PredictionsUnavailable the predictions store does not answer
    ├── NoDriftCheck           a data set was never checked for drift
    ├── NoQualityCheck         the quality of a data set was never measured from labels
    ├── UnknownAlert           no alert has this id
    ├── AlertResolved          an alert is over: nobody can acknowledge it any more
    ├── InvalidCursor          a cursor of the list of predictions cannot be read
    ├── StreamUnavailable      the Redis server does not answer
    ├── StreamFull             the stream holds as many messages as it may; nothing was queued
    ├── UnknownMessage         no prediction, waiting message or dead letter has this id
    ├── UnknownVersion         the registry has no such version
    ├── NoCard                 a version has no model card
    ├── AliasNotMoved          an alias must not move as requested, or has moved meanwhile
    ├── RolloutRunning         a rollout of the data set runs, so no other can start
    ├── NoRollout              no rollout of the data set runs
    ├── InvalidKey             a request has no API key, or an unknown one
    ├── MissingScope           the API key lacks a scope
    ├── TooManyRequests        a rate limit is reached
    ├── UnknownClass           the data set has no such class
    ├── InvalidFeedback        a report of what a record turned out to be cannot be read
    │   ├── InvalidTruth       it names no class of the data set
    │   └── UnknownPrediction  it names no data set, and no prediction that is stored
    ├── InvalidFile            a file to score cannot be read as a table with the features of its data set
    ├── InvalidScoring         what a batch is to score, or where to, cannot be
    ├── IncompleteScoring      objects of a batch could not be read; all others are scored
    ├── TooBusy                a limit of concurrent work is reached
    ├── TooSlow                work took longer than its limit of time
    └── InvalidMessage         a message of the stream cannot be read

`code` is the stable word that clients see. `kind` says whose fault the error is and whether it can pass; each protocol maps the kinds, not
the classes, to its own status in one file, and DAGs retry by them. To add an error: write its class below, with a unique `code` and a
`kind` (the default is a failure of Hearth itself, which is logged), and draw it into the tree above. Nothing else has to change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

_LONGEST_VALUE = 80


class ErrorKind(Enum):
    """Whose fault an error is; protocols derive their status from it."""

    CALLER = "the input is wrong"
    UNAUTHENTICATED = "the caller is not authenticated"
    FORBIDDEN = "the caller is not authorized"
    NOT_FOUND = "it does not exist"
    CONFLICT = "the present state does not allow it"
    UNSUPPORTED = "the input has a form that is not read"
    TOO_LARGE = "the input is larger than the limit"
    TOO_SLOW = "the input did not arrive in time"
    TOO_MANY = "the caller exceeds a rate limit; a later call can succeed"
    UNAVAILABLE = "a server or another resource is not available; a later call can succeed"
    INTERNAL = "Hearth failed"

    @property
    def is_temporary(self) -> bool:
        """Whether the same call can succeed later without a change by anybody."""
        return self in {ErrorKind.TOO_SLOW, ErrorKind.TOO_MANY, ErrorKind.UNAVAILABLE}


class HearthError(Exception):
    """Base of all errors that Hearth raises on purpose."""

    code: ClassVar[str] = "error"
    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL
    retry_seconds: float = 5  # when to try again, if the kind is temporary


@dataclass(frozen=True)
class Problem:
    """A value of a record that breaks the contract: its place, the value, and what was expected."""

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
    """Return a value for a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


class InvalidSettings(HearthError):
    """A setting is missing or wrong, or production holds a laptop secret."""

    code = "invalid_settings"


class InvalidContract(HearthError):
    """A contract has a mistake."""

    code = "invalid_contract"

    def __init__(self, path: Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {key}: {reason}")
        self.path, self.key, self.reason = path, key, reason


class InvalidModelParams(HearthError):
    """The file of training parameters has a mistake."""

    code = "invalid_model_params"

    def __init__(self, path: Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {key}: {reason}")
        self.path, self.key, self.reason = path, key, reason


class InvalidStatistics(HearthError):
    """A statistics.json has a mistake, or does not fit its contract."""

    code = "invalid_statistics"

    def __init__(self, path: Path, key: str, reason: str) -> None:
        super().__init__(f"{path}: {key}: {reason}")
        self.path, self.key, self.reason = path, key, reason


class InvalidDrift(HearthError):
    """A drift of fake records is malformed, or impossible for the data set."""

    code = "invalid_drift"
    kind = ErrorKind.CALLER

    def __init__(self, text: str, reason: str) -> None:
        forms = "COLUMN=AMOUNT/min, COLUMN=AMOUNTsd/min or COLUMN=CATEGORY+SHARE%/min"
        super().__init__(f"The drift {text!r} is invalid: {reason}. Write {forms}.")


class UnknownDataset(HearthError):
    """No contract has this name."""

    code = "unknown_dataset"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, datasets: Sequence[str]) -> None:
        super().__init__(f"There is no data set {name!r}; there are: {', '.join(datasets) or 'none'}.")


class InvalidRecords(HearthError):
    """Records break the contract. `problems` are the first ones, at least one; `count` is the number of all."""

    code = "invalid_records"
    kind = ErrorKind.CALLER

    def __init__(self, problems: Sequence[Problem], count: int | None = None) -> None:
        self.problems = tuple(problems)
        self.count = len(problems) if count is None else count
        more = f" (and {self.count - 1} more)" if self.count > 1 else ""
        super().__init__(f"{problems[0]}{more}")


class InvalidRawData(HearthError):
    """A raw file cannot be read as the data set's table, or too many of its rows break the contract."""

    code = "invalid_raw_data"
    kind = ErrorKind.CALLER


class UntrainableData(HearthError):
    """A class of the data set has too few rows to train on."""

    code = "untrainable_data"

    def __init__(self, dataset: str, counts: Mapping[str, int], at_least: int, *, rows: str = "train rows") -> None:
        per_class = ", ".join(f"{label}: {count}" for label, count in counts.items())
        super().__init__(f"{dataset!r} cannot be trained: each class needs {at_least} {rows}, there are {per_class}. Load more data.")


class SearchFailed(HearthError):
    """Every trial of a search for parameters has failed."""

    code = "search_failed"

    def __init__(self, search: str, trials: int, first: str) -> None:
        super().__init__(f"All {trials} trials of the search {search} failed; the first: {first}")


class SearchInterrupted(HearthError):
    """A search ended before its trials had: those that have ended are not lost in MLflow."""

    code = "search_interrupted"

    def __init__(self, search: str, ended: int, trials: int, reason: str) -> None:
        super().__init__(f"The search {search} was broken off when {ended} of {trials} trials had ended: {reason}")


class SearchRemoved(HearthError):
    """A search was removed from the database while processes were at work on it."""

    code = "search_removed"

    def __init__(self, search: str) -> None:
        super().__init__(f"The search {search} is no longer there: another process has ended it, begun it anew, or removed it as too old.")


class StudiesUnavailable(HearthError):
    """The database of searches that several processes work on does not answer, or failed."""

    code = "studies_unavailable"
    kind = ErrorKind.UNAVAILABLE

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The database of searches {url} does not answer, or failed: {reason}. HEARTH_STUDIES_URL says where it is.")


class ShiftedData(HearthError):
    """New data differ so much from the data that were published last that a coding must have changed."""

    code = "shifted_data"
    kind = ErrorKind.CALLER


class SuspiciousData(HearthError):
    """A raw file has findings of a level that the contract does not let pass."""

    code = "suspicious_data"
    kind = ErrorKind.CALLER


class IngestError(HearthError):
    """Batches cannot be loaded from their source into the data database."""

    code = "ingest_error"


class SourceUnavailable(IngestError):
    """The source of batches does not answer."""

    code = "source_unavailable"
    kind = ErrorKind.UNAVAILABLE


class SourceRefused(IngestError):
    """The source of batches answers, but has no batch for us, now or later."""

    code = "source_refused"


class InvalidBatch(IngestError):
    """A batch of the source breaks the contract; nothing of it was stored."""

    code = "invalid_batch"
    kind = ErrorKind.UNAVAILABLE  # the next batch may be good


class DataUnavailable(IngestError):
    """The data database does not answer."""

    code = "data_unavailable"
    kind = ErrorKind.UNAVAILABLE


class TableMismatch(IngestError):
    """The table in the data database does not fit the contract."""

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


class ObjectChanged(StorageError):
    """An object was written anew while it was read."""

    code = "object_changed"
    kind = ErrorKind.CONFLICT

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"s3://{bucket}/{key} was written anew while it was read: read it again when nobody writes it.")


class StorageUnavailable(StorageError):
    """The object store does not answer."""

    code = "storage_unavailable"
    kind = ErrorKind.UNAVAILABLE


class BackupError(HearthError):
    """A backup cannot be made or restored."""

    code = "backup_error"


class BackupUnavailable(BackupError):
    """A server that a backup or a restore needs does not answer."""

    code = "backup_unavailable"
    kind = ErrorKind.UNAVAILABLE


class InvalidBackup(BackupError):
    """A backup is damaged, not whole, or made with another key."""

    code = "invalid_backup"


class StackNotEmpty(BackupError):
    """A restore would replace data that are there."""

    code = "stack_not_empty"
    kind = ErrorKind.CONFLICT


class NewerSchema(HearthError):
    """The predictions store has a schema that this release does not know."""

    code = "newer_schema"
    kind = ErrorKind.CONFLICT

    def __init__(self, place: str, present: str, known: str) -> None:
        super().__init__(
            f"The predictions store {place} has the schema {present}, and this release knows those up to {known}: a newer one has migrated "
            "it. Start the newer release again, or restore a backup of before the upgrade (docs/upgrade.md). Nothing was changed."
        )


class HousekeepingRefused(HearthError):
    """Nothing may be removed, because what was found does not belong together."""

    code = "housekeeping_refused"
    kind = ErrorKind.CONFLICT


class UnknownFamily(HearthError):
    """No family of models has this name."""

    code = "unknown_family"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str, family: str, families: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} is not trained with {family!r}; its families are: {', '.join(families)}.")


class UnknownAlias(HearthError):
    """The data set cannot have this alias."""

    code = "unknown_alias"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str, alias: str, aliases: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} has no alias {alias!r}; it can have: {', '.join(aliases)}.")


class ModelUnavailable(HearthError):
    """No version carries the alias, or nothing is loaded and the registry does not answer."""

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


class DataNotPublished(HearthError):
    """No data of a data set were published, or by a release that left no report."""

    code = "not_published"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str, dag: str) -> None:
        super().__init__(f"No data of {dataset!r} were published with a report yet: run the DAG {dag}.")


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
    """A model was trained with other library versions than are installed here."""

    code = "incompatible_model"

    def __init__(self, where: str, library: str, stored: str, installed: str) -> None:
        super().__init__(
            f"{where} was made with {library} {stored}, but {library} {installed} is installed, which may read it wrongly. "
            f"Fit it again on the same data: `hearth models refit{_words(where)}`. Or train again, or install {stored}."
        )


class CannotRefit(HearthError):
    """A version cannot be fitted again as it was."""

    code = "cannot_refit"
    kind = ErrorKind.CONFLICT

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} cannot be fitted again: {reason}. Train a new version.")


def _words(where: str) -> str:
    """Return data set and number of a version as words of a command, from its address."""
    dataset, _, number = where.removeprefix("models:/").partition("/")
    return f" {dataset} {number}" if number else ""


class NotKept(HearthError):
    """A version was trained before it kept what a request asks for."""

    code = "not_kept"
    kind = ErrorKind.CONFLICT

    def __init__(self, dataset: str, version: str, what: str) -> None:
        super().__init__(f"Version {version} of {dataset!r} was trained before {what} kept with a version: train again.")


class PredictionsUnavailable(HearthError):
    """The predictions store does not answer."""

    code = "predictions_unavailable"
    kind = ErrorKind.UNAVAILABLE


class NoDriftCheck(HearthError):
    """A data set was never checked for drift."""

    code = "no_drift_check"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str) -> None:
        super().__init__(
            f"There is no check for drift of {dataset!r} yet: the DAG monitor makes one while a champion answers, `hearth monitor` at once."
        )


class UnknownAlert(HearthError):
    """No alert has this id."""

    code = "unknown_alert"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, alert_id: int) -> None:
        super().__init__(
            f"There is no alert {alert_id}: it never was, or was resolved so long ago that it is deleted. GET /alerts lists them."
        )


class AlertResolved(HearthError):
    """An alert is over: nobody can acknowledge it any more."""

    code = "alert_resolved"
    kind = ErrorKind.CONFLICT

    def __init__(self, alert_id: int) -> None:
        super().__init__(f"The alert {alert_id} is resolved, so it cannot be acknowledged. If the trouble comes back, a new alert opens.")


class NoQualityCheck(HearthError):
    """The quality of a data set was never measured from labels."""

    code = "no_quality_check"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str) -> None:
        super().__init__(
            f"The quality of {dataset!r} was not measured yet: the DAG monitor does it while a champion answers, `hearth monitor` at once."
        )


class InvalidCursor(HearthError):
    """A cursor of the list of predictions cannot be read."""

    code = "invalid_cursor"
    kind = ErrorKind.CALLER

    def __init__(self, text: str) -> None:
        super().__init__(f"{_short(text)} is no cursor: send the one of the previous page, or none to start from the beginning.")


class StreamUnavailable(HearthError):
    """The Redis server does not answer."""

    code = "stream_unavailable"
    kind = ErrorKind.UNAVAILABLE


class StreamFull(HearthError):
    """The stream holds as many messages as it may; nothing was queued."""

    code = "stream_full"
    kind = ErrorKind.TOO_MANY

    def __init__(self, name: str, length: int, new: int, limit: int) -> None:
        super().__init__(
            f"The stream {name!r} holds {length} messages that are not scored yet; with {new} more it would exceed its limit of {limit}. "
            "Nothing was queued: send them again when the workers have caught up."
        )


class UnknownMessage(HearthError):
    """No prediction, waiting message or dead letter has this id."""

    code = "unknown_message"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"The message {message_id!r} is unknown: there is no prediction, no waiting message and no dead letter with this id. It may be "
            "older than the retention period."
        )


class UnknownVersion(HearthError):
    """The registry has no such version of a data set's model."""

    code = "unknown_version"
    kind = ErrorKind.NOT_FOUND


class NoCard(HearthError):
    """A version of a data set's model has no model card."""

    code = "no_card"
    kind = ErrorKind.NOT_FOUND


class AliasNotMoved(HearthError):
    """An alias must not move as requested, or has moved meanwhile; the registry is unchanged."""

    code = "alias_not_moved"
    kind = ErrorKind.CONFLICT


class RolloutRunning(HearthError):
    """A rollout of the data set runs, so no other can start."""

    code = "rollout_running"
    kind = ErrorKind.CONFLICT

    def __init__(self, dataset: str, version: str, rollout_id: str) -> None:
        super().__init__(
            f"A rollout of {dataset!r} runs: version {version}, {rollout_id}. Wait for its end, or end it: hearth rollout stop {dataset}."
        )


class NoRollout(HearthError):
    """No rollout of the data set runs."""

    code = "no_rollout"
    kind = ErrorKind.NOT_FOUND

    def __init__(self, dataset: str) -> None:
        super().__init__(f"No rollout of {dataset!r} runs. GET /rollouts/{dataset} has those that ended.")


class InvalidKey(HearthError):
    """A request has no API key, or an unknown one."""

    code = "invalid_key"
    kind = ErrorKind.UNAUTHENTICATED


class MissingScope(HearthError):
    """The API key of a request lacks a scope."""

    code = "missing_scope"
    kind = ErrorKind.FORBIDDEN

    def __init__(self, name: str, scopes: str) -> None:
        super().__init__(f"The key {name!r} does not have the scope {scopes}.")


class TooManyRequests(HearthError):
    """A rate limit is reached."""

    code = "too_many_requests"
    kind = ErrorKind.TOO_MANY

    def __init__(self, limit: str, retry_seconds: int) -> None:
        super().__init__(f"The limit of {limit} is reached: try again in {retry_seconds} s.")
        self.retry_seconds = retry_seconds


class UnknownClass(HearthError):
    """The data set has no such class."""

    code = "unknown_class"
    kind = ErrorKind.CALLER

    def __init__(self, dataset: str, name: str, classes: Sequence[str]) -> None:
        super().__init__(f"{dataset!r} has no class {_short(name)}; expected one of: {', '.join(classes)}.")


class InvalidFeedback(HearthError):
    """A report of what a record turned out to be cannot be read; others beside it can."""

    code = "invalid_feedback"
    kind = ErrorKind.CALLER

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: got {_short(value)}, expected {expected}.")


class InvalidTruth(InvalidFeedback):
    """A report names no class of the data set."""

    code = "invalid_truth"

    def __init__(self, value: object, expected: str) -> None:
        super().__init__("truth", value, expected)


class UnknownPrediction(InvalidFeedback):
    """A report names no data set, and no prediction that is stored, so nothing says what it is about."""

    code = "unknown_prediction"

    def __init__(self, message_id: str, row: int) -> None:
        HearthError.__init__(
            self, f"No prediction with the id {_short(message_id)} and row {row} is stored: name its dataset, and the label waits for it."
        )


class InvalidFile(HearthError):
    """A file to score cannot be read as a table with the features of its data set; nothing of it was scored."""

    code = "invalid_file"
    kind = ErrorKind.CALLER


class InvalidScoring(HearthError):
    """What a batch is to score, or where its results are to go, cannot be; nothing was scored."""

    code = "invalid_scoring"
    kind = ErrorKind.CALLER


class IncompleteScoring(HearthError):
    """Objects of a batch could not be read; all others are scored."""

    code = "incomplete_scoring"
    kind = ErrorKind.CALLER


class TooBusy(HearthError):
    """A limit of concurrent work is reached."""

    code = "too_busy"
    kind = ErrorKind.UNAVAILABLE


class TooSlow(HearthError):
    """Work took longer than its limit of time."""

    code = "too_slow"
    kind = ErrorKind.TOO_SLOW


class InvalidMessage(HearthError):
    """A message of the stream cannot be read."""

    code = "invalid_message"
    kind = ErrorKind.CALLER
