"""A row of the audit trail. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID, uuid4

from hearth.audit.actor import Actor, current_actor
from hearth.errors import ErrorKind, HearthError
from hearth.logs.context import REQUEST_ID
from hearth.tracing.context import current_trace_id

LONGEST_TEXT = 300
_REFUSALS = frozenset(ErrorKind) - {ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL, ErrorKind.TOO_SLOW}


class Action(StrEnum):
    """What was done."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    APPROVAL_ANSWERED = "approval_answered"
    ROLLOUT_STARTED = "rollout_started"
    ROLLOUT_CHANGED = "rollout_changed"
    KEYS_CHANGED = "keys_changed"
    KEY_REFUSED = "key_refused"
    PREDICTIONS_READ = "predictions_read"
    PREDICTIONS_EXPORTED = "predictions_exported"
    PREDICTIONS_PRUNED = "predictions_pruned"
    PREDICTIONS_ERASED = "predictions_erased"
    LABELS_REPORTED = "labels_reported"
    RETRAIN_DECIDED = "retrain_decided"
    DEAD_LETTERS_REPLAYED = "dead_letters_replayed"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    ALERT_RESOLVED = "alert_resolved"
    VERSION_SIGNED = "version_signed"
    BACKUP_MADE = "backup_made"
    BACKUP_RESTORED = "backup_restored"
    VERSION_REMOVED = "version_removed"
    HOUSEKEEPING_APPLIED = "housekeeping_applied"
    SECRETS_ROTATED = "secrets_rotated"
    SECRETS_RETIRED = "secrets_retired"


class Result(StrEnum):
    """How it ended: it was done, it was not allowed or not possible as asked, or something failed."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was done, or was to be done. Texts that do not apply are empty.

    Attributes:
        actor: who; never a key itself.
        subject: what it was done to, where that is no version: the id of a message, rollout, alert or backup.
        detail: more about it, by action. Never a value of a record.
        key: by which a row that is written twice is one.
        id: of the row; 0 before it is stored.
    """

    action: Action
    result: Result
    actor: Actor
    dataset: str = ""
    alias: str = ""
    version: str = ""
    subject: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    trace_id: str = ""
    request_id: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    key: UUID = field(default_factory=uuid4)
    id: int = 0


def new_entry(  # noqa: PLR0913 - the parts of a row
    action: Action,
    *,
    result: Result = Result.DONE,
    dataset: str = "",
    alias: str = "",
    version: str = "",
    subject: str = "",
    detail: Mapping[str, object] | None = None,
    actor: Actor | None = None,
) -> Entry:
    """Make an entry of what the running code does now, for whoever it does it. Here, and nowhere else, texts are cut and made storable."""
    who = actor or current_actor()
    return Entry(
        action=action,
        result=result,
        actor=replace(who, name=stored_text(who.name), address=stored_text(who.address)),
        dataset=stored_text(dataset),
        alias=stored_text(alias),
        version=stored_text(version),
        subject=stored_text(subject),
        detail=cleaned(detail or {}),
        trace_id=current_trace_id() or "",
        request_id=stored_text(REQUEST_ID.get() or ""),
    )


def result_of(error: BaseException) -> Result:
    """Return how something ended that raised an error."""
    return Result.REFUSED if isinstance(error, HearthError) and error.kind in _REFUSALS else Result.FAILED


def stored_text(text: str) -> str:
    """Return a text as PostgreSQL can store it: without NUL and halves of surrogate pairs, and not longer than a row may have it."""
    return clean_text(text)[:LONGEST_TEXT]


def cleaned(detail: Mapping[str, object]) -> dict[str, object]:
    """Return details as PostgreSQL can store them, as JSON: what is no number, list or mapping is a storable text, however long."""
    return {clean_text(str(name)): _clean(value) for name, value in detail.items()}


def _clean(value: object) -> object:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return cleaned(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(part) for part in value]
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """Return a text without NUL and halves of surrogate pairs, as long as it is."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode("utf-8")
