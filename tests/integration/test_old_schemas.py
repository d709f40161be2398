"""A predictions store of every earlier schema, with rows of that time, is upgraded: each row is read as it was written."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine, make_url

from deploy.embedded import temporary_servers
from hearth.errors import NewerSchema
from hearth.predictions import PredictionStore
from hearth.predictions.alembic_config import alembic_config
from hearth.predictions.migration import migrate
from hearth.serving.recording.writer import Writer

MOMENT = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
TRACE = UUID("4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
EARLIER = [script.revision for script in reversed(list(ScriptDirectory.from_config(alembic_config()).walk_revisions()))]

# What each revision can hold more than the one before it: by table, the columns of one row.
PREDICTION: dict[str, Any] = {
    "message_id": "1795264225354-0",
    "row": 3,
    "dataset": "employees",
    "alias": "champion",
    "version": "7",
    "family": "knn",
    "code": 1,
    "label": "Medium",
    "probabilities": [0.1, 0.8, 0.1],
    "record": Jsonb({"Designation": 1, "Gender": "ünï"}),
    "enqueued_at": MOMENT,
    "scored_at": MOMENT,
}
MORE: dict[str, dict[str, dict[str, Any]]] = {
    "0001": {},
    "0002": {"predictions": {"source": "rest", "role": "answer"}},
    "0003": {},
    "0004": {"predictions": {"label_set": ["Low", "Medium"], "unusual_score": 0.5, "is_unusual": True}},
    "0005": {
        "drift_checks": {"dataset": "employees", "checked_at": MOMENT, "version": "7", "level": "warn", "detail": Jsonb({"rows": 5})},
        "refused_records": {"dataset": "employees", "at": MOMENT, "records": 4},
        "version_outputs": {"dataset": "employees", "run_id": "r", "version": "7", "outputs": Jsonb({})},
    },
    "0006": {
        "labels": {
            "message_id": "1795264225354-0",
            "row": 3,
            "dataset": "employees",
            "code": 2,
            "label": "High",
            "observed_at": MOMENT,
            "reported_by": "hr",
            "source": "rest",
        }
    },
    "0007": {
        "rollouts": {
            "id": "a-rollout",
            "dataset": "employees",
            "version": "8",
            "champion": "7",
            "way": "canary",
            "state": "promoted",
            "share": 1.0,
            "started_by": "Ana",
            "started_at": MOMENT,
            "changed_at": MOMENT,
            "ended_at": MOMENT,
        }
    },
    "0008": {
        "retrains": {
            "id": "a-run",
            "dataset": "employees",
            "trigger": "drift",
            "state": "deployed",
            "decided_at": MOMENT,
            "digest": "ab12",
            "version": "8",
            "why": "because",
        },
        "forgotten_records": {"message_id": "another", "row": -1, "dataset": "employees", "forgotten_by": "Ana"},
    },
    "0009": {
        "alerts": {
            "kind": "drift",
            "dataset": "employees",
            "severity": "warning",
            "summary": "it drifts",
            "opened_at": MOMENT,
            "updated_at": MOMENT,
        }
    },
    "0010": {
        "quality_checks": {"dataset": "employees", "checked_at": MOMENT, "version": "7", "level": "ok", "detail": Jsonb({})},
        "quality_tests": {
            "dataset": "employees",
            "subject": "champion",
            "version": "7",
            "reference": 0.2,
            "state": Jsonb({}),
            "started_at": MOMENT,
        },
    },
    "0011": {
        "predictions": {"trace_id": TRACE},
        "labels": {"trace_id": TRACE},
        "retrains": {"trace_id": TRACE},
    },
    "0012": {
        "audit": {
            "key": UUID("5f0e3a52-17c5-4a2e-9a57-0ea1f2f0a9c1"),
            "at": MOMENT,
            "action": "promoted",
            "result": "done",
            "actor_kind": "key",
            "actor": "ana",
            "door": "rest",
            "address": "127.0.0.1",
            "detail": Jsonb({"from": "7"}),
        }
    },
    "0013": {},
}
NEW_COLUMNS = {"source": "stream", "role": "answer", "label_set": None, "unusual_score": None, "is_unusual": None}


@pytest.fixture
def database(postgres_url: str) -> str:
    return temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")


def migrate_to(url: str, revision: str) -> None:
    """Make the schema of an earlier release."""
    config = alembic_config()
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def rows_of(revision: str) -> dict[str, dict[str, Any]]:
    """Return one row of each table that a revision has, with all columns that it has."""
    rows: dict[str, dict[str, Any]] = {"predictions": dict(PREDICTION)}
    for earlier in EARLIER[: EARLIER.index(revision) + 1]:
        for table, columns in MORE.get(earlier, {}).items():
            rows[table] = {**rows.get(table, {}), **columns}
    return rows


def insert(url: str, rows: dict[str, dict[str, Any]]) -> None:
    with psycopg.connect(url) as connection:
        for table, columns in rows.items():
            names = ", ".join(columns)
            values = ", ".join(f"%({name})s" for name in columns)
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({values})".encode(), columns)  # noqa: S608 - names of this file


def read(url: str, table: str, columns: dict[str, Any]) -> dict[str, Any]:
    with psycopg.connect(url) as connection:
        found = connection.execute(f"SELECT {', '.join(columns)} FROM {table}".encode()).fetchall()  # noqa: S608 - names of this file
    assert len(found) == 1
    return dict(zip(columns, found[0], strict=True))


def plain(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value.obj if isinstance(value, Jsonb) else value for name, value in columns.items()}


def test_every_revision_has_rows_of_its_form_here() -> None:
    assert set(EARLIER) <= set(MORE), "add to MORE what the new revision can hold"


@pytest.mark.parametrize("revision", EARLIER)
def test_rows_of_every_earlier_form_are_read_after_the_upgrade(database: str, revision: str) -> None:
    migrate_to(database, revision)
    rows = rows_of(revision)
    insert(database, rows)

    assert migrate(database) == EARLIER[-1]

    for table, columns in rows.items():
        assert read(database, table, columns) == plain(columns)
    with PredictionStore(database) as store:
        [stored] = store.page(5, dataset="employees")
        [same] = store.of_message("1795264225354-0")
        assert stored == same
        expected = {**NEW_COLUMNS, **plain(rows["predictions"])}
        assert {name: getattr(stored, name) for name in ("source", "role", "is_unusual", "version", "scored_at", "enqueued_at")} == {
            name: expected[name] for name in ("source", "role", "is_unusual", "version", "scored_at", "enqueued_at")
        }
        assert stored.probabilities == (0.1, 0.8, 0.1)
        assert stored.record == {"Designation": 1, "Gender": "ünï"}
        assert stored.label_set == (tuple(expected["label_set"]) if expected["label_set"] else None)
    assert migrate(database) == EARLIER[-1]  # nothing is left to do


def test_a_store_of_a_newer_release_is_refused_and_left_as_it_is(database: str) -> None:
    migrate(database)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE predictions_version SET version_num = '9999'")
    with pytest.raises(NewerSchema, match=rf"has the schema 9999, and this release knows those up to {EARLIER[-1]}.*Nothing was changed"):
        migrate(database)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT version_num FROM predictions_version").fetchall() == [("9999",)]
    with PredictionStore(database) as store:  # a service goes on answering, and says why nothing is stored
        result = Writer(database, store).put(None)  # type: ignore[arg-type]  # it is not looked at
    assert "9999" in str(result)
