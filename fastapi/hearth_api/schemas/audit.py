"""The audit trail: who did what to what, and whether it was done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from hearth.audit import Entry

ResultName = Literal["done", "refused", "failed"]


class AuditEntry(BaseModel):
    """Something that was done, or was to be done. Its texts may come from outside: show them as text."""

    id: int
    at: datetime
    action: str = Field(description="such as promoted, rollout_changed or predictions_read")
    result: ResultName = Field(description="done; refused: not allowed, or not possible as asked; failed: by an error")
    actor_kind: str = Field(description="key, nobody (no key was needed), airflow, user (of a machine) or hearth (by itself)")
    actor: str = Field(description="name of the key, dag/run/task, user, or part of Hearth")
    door: str = Field(description="rest, graphql, airflow, command or process")
    address: str = Field(description="of the caller, or the machine")
    dataset: str | None
    alias: str | None
    version: str | None
    subject: str | None = Field(description="id of the message, rollout, alert or backup")
    detail: dict[str, object] = Field(description="by action; never a value of a record")
    trace_id: str | None
    request_id: str | None


class AuditPage(BaseModel):
    """A page of the trail, the newest first; `next` is the path of the page after it."""

    entries: list[AuditEntry]
    cursor: str | None
    next: str | None


def audit_entry(entry: Entry) -> AuditEntry:
    """Return a row as REST and GraphQL answer it."""
    actor = entry.actor
    return AuditEntry(
        id=entry.id,
        at=entry.at,
        action=entry.action,
        result=entry.result.value,
        actor_kind=actor.kind,
        actor=actor.name,
        door=actor.door,
        address=actor.address,
        dataset=entry.dataset or None,
        alias=entry.alias or None,
        version=entry.version or None,
        subject=entry.subject or None,
        detail=dict(entry.detail),
        trace_id=entry.trace_id or None,
        request_id=entry.request_id or None,
    )


def next_cursor(entries: Sequence[Entry], limit: int) -> str | None:
    """Return where the page after this one begins, if one was read with one row more than its limit."""
    return str(entries[limit - 1].id) if len(entries) > limit else None
