"""The part of the predictions store that holds the audit trail. Rows are added and read; the database refuses everything else."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg.rows import dict_row, tuple_row

from hearth.audit.actor import Actor
from hearth.audit.entry import Action, Entry, Result, clean_text, new_entry
from hearth.predictions.store import PredictionStore

_ADD = """
    INSERT INTO audit (key, at, action, result, actor_kind, actor, door, address, dataset, alias, version, subject, detail, trace_id,
        request_id)
    VALUES (%(key)s, %(at)s, %(action)s, %(result)s, %(actor_kind)s, %(actor)s, %(door)s, %(address)s, %(dataset)s, %(alias)s, %(version)s,
        %(subject)s, %(detail)s, %(trace_id)s, %(request_id)s)
    ON CONFLICT (key) DO NOTHING
"""
_PAGE = """
    SELECT id, key, at, action, result, actor_kind, actor, door, address, dataset, alias, version, subject, detail, trace_id, request_id
    FROM audit
    WHERE (%(before)s::bigint IS NULL OR id < %(before)s)
        AND (%(action)s::text IS NULL OR action = %(action)s) AND (%(actor)s::text IS NULL OR actor = %(actor)s)
        AND (%(dataset)s::text IS NULL OR dataset = %(dataset)s) AND (%(result)s::text IS NULL OR result = %(result)s)
        AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
    ORDER BY id DESC LIMIT %(limit)s
"""
_LAST_KEYS = "SELECT detail -> 'keys' FROM audit WHERE action = 'keys_changed' ORDER BY id DESC LIMIT 1"
_CONNECT_SECONDS, _STATEMENT_SECONDS = 2, 3.0
_REFUSE_SECONDS = 1.0  # without another try, after the server did not answer
_KEYS_LOCK = 0x6B657973  # any number that differs from other locks of the store


@dataclass(frozen=True)
class AuditFilter:
    """Which rows are read; None: any. since <= at < until."""

    action: str | None = None
    actor: str | None = None
    dataset: str | None = None
    result: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditStore(PredictionStore):
    """The table `audit`. Every method raises PredictionsUnavailable if the store does not answer; all may be called again."""

    def add(self, entries: Sequence[Entry]) -> None:
        """Add rows in one transaction; those that are there already stay as they are.

        Raises:
            PredictionsUnavailable: they may or may not be stored; retrying is safe.
            psycopg.DataError: the table does not take one of them, and none is stored.
        """
        with self._reading(tuple_row) as cursor, cursor.connection.transaction():
            cursor.executemany(_ADD, [_values(entry) for entry in entries])

    def exists(self) -> bool:
        """Whether the store has the table; one of an older release has none until it is migrated."""
        with self._reading(tuple_row) as cursor:
            row = cursor.execute("SELECT to_regclass('audit') IS NOT NULL").fetchone()
        return bool(row and row[0])

    def entries(self, limit: int, selection: AuditFilter, before: int | None = None) -> list[Entry]:
        """Return at most `limit` rows, the newest first; with `before` those that are older than the row of this id."""
        values = {**asdict(selection), "limit": limit, "before": before}
        with self._reading(dict_row) as cursor:
            return [_entry(row) for row in cursor.execute(_PAGE, values)]

    def note_keys(self, keys: dict[str, str], actor: Actor) -> bool:
        """Add a row if the keys are others than those of the last such row; return whether they are. Processes that start at once add one.

        `keys` holds for each name its scopes and a fingerprint of the secret.
        """
        with self._reading(tuple_row) as cursor, cursor.connection.transaction():
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_KEYS_LOCK,))
            found = cursor.execute(_LAST_KEYS).fetchone()
            before: dict[str, str] = dict(found[0]) if found else {}
            keys = {clean_text(name): clean_text(value) for name, value in keys.items()}  # as they are compared at the next start
            if found and before == keys:
                return False
            detail = {
                "keys": keys,
                "added": sorted(keys.keys() - before.keys()),
                "removed": sorted(before.keys() - keys.keys()),
                "changed": sorted(name for name in keys.keys() & before.keys() if keys[name] != before[name]),
            }
            cursor.execute(_ADD, _values(new_entry(Action.KEYS_CHANGED, detail=detail, actor=actor)))
        return True


def audit_store(url: str, max_connections: int = 1, refuse_seconds: float = _REFUSE_SECONDS) -> AuditStore:
    """Make a store for a trail. What is done waits three seconds at most for its row; then the row waits in memory."""
    return AuditStore(
        url,
        max_connections=max_connections,
        statement_seconds=_STATEMENT_SECONDS,
        connect_seconds=_CONNECT_SECONDS,
        refuse_seconds=refuse_seconds,
    )


def _values(entry: Entry) -> dict[str, object]:
    actor = entry.actor
    return {
        "key": entry.key,
        "at": entry.at,
        "action": entry.action.value,
        "result": entry.result.value,
        "actor_kind": actor.kind,
        "actor": actor.name,
        "door": actor.door,
        "address": actor.address,
        "dataset": entry.dataset,
        "alias": entry.alias,
        "version": entry.version,
        "subject": entry.subject,
        "detail": json.dumps(entry.detail),
        "trace_id": entry.trace_id,
        "request_id": entry.request_id,
    }


def _entry(row: dict[str, object]) -> Entry:
    fields = dict(row)
    actor = Actor(*(str(fields.pop(name)) for name in ("actor_kind", "actor", "door", "address")))
    action, result = Action(str(fields.pop("action"))), Result(str(fields.pop("result")))
    return Entry(action=action, result=result, actor=actor, **fields)  # type: ignore[arg-type]  # as the table has them
