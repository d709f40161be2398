"""How old predictions are deleted, on a real PostgreSQL."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from hearth.errors import PredictionsUnavailable
from hearth.predictions import Prediction, PredictionStore, retention
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.predictions.retention import Retention, prune

NOW = datetime.now(UTC)


def prediction(number: int, age: timedelta) -> Prediction:
    return Prediction(f"{number}-0", 0, "employees", "champion", "3", "knn", 0, "Low", (1.0,), {}, None, NOW - age)


@pytest.fixture
def store(fresh_database: str) -> Iterator[PredictionStore]:
    migrate(fresh_database)
    with PredictionStore(fresh_database) as store:
        store.put([prediction(number, timedelta(days=number)) for number in range(10)])
        yield store


def ids(store: PredictionStore) -> list[str]:
    return sorted(found.message_id for found in store.since())


def test_what_is_older_than_a_moment_is_deleted_bit_by_bit(store: PredictionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_STEP_ROWS", 2)

    assert prune(store, NOW - timedelta(days=4, hours=12)) == 5

    assert ids(store) == [f"{number}-0" for number in range(5)]
    assert prune(store, NOW - timedelta(days=4, hours=12)) == 0


def test_the_oldest_go_first(store: PredictionStore) -> None:
    assert store.delete_before(NOW - timedelta(hours=12), 3) == 3

    assert ids(store) == [f"{number}-0" for number in range(7)]


def test_only_one_deletes_at_a_time(store: PredictionStore, fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [0x70727565])
        assert store.delete_before(NOW + timedelta(days=1), 100) == 0

    assert store.delete_before(NOW + timedelta(days=1), 100) == 10


def test_a_worker_deletes_what_is_older_than_its_days_and_says_so_once(store: PredictionStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gone = threading.Event()

    class Watched(PredictionStore):
        def delete_before(self, moment: datetime, rows: int) -> int:
            found = store.delete_before(moment, rows)
            if not found:
                gone.set()
            return found

    with Watched("postgresql://nowhere.invalid/none") as watched, Retention(watched, 4.5):
        assert gone.wait(30)

    assert ids(store) == [f"{number}-0" for number in range(5)]
    assert [line for line in caplog.messages if "deleted" in line] == ["5 predictions of more than 4.5 days ago are deleted"]


def test_zero_days_keep_everything(store: PredictionStore) -> None:
    with Retention(store, 0):
        assert threading.active_count() == len([thread for thread in threading.enumerate() if thread.name != "retention"])

    assert len(ids(store)) == 10


def test_a_store_that_is_away_ends_nobody() -> None:
    asked = threading.Event()

    class Away(PredictionStore):
        def delete_before(self, moment: datetime, rows: int) -> int:  # noqa: ARG002 - as the store has it
            asked.set()
            raise PredictionsUnavailable("It is away.")

    with Away("postgresql://nowhere.invalid/none") as away, Retention(away, 1):
        assert asked.wait(30)
        assert any(thread.name == "retention" for thread in threading.enumerate())


def test_predictions_that_cannot_be_deleted_keep_neither_labels_nor_the_warning_from_their_turn(caplog: pytest.LogCaptureFixture) -> None:
    asked, measured = threading.Event(), threading.Event()

    class Slow(PredictionStore):
        def delete_before(self, moment: datetime, rows: int) -> int:  # noqa: ARG002 - as the store has it
            raise PredictionsUnavailable("The statement took too long.")

        def size(self) -> int:
            measured.set()
            return 0

    class Labels(LabelStore):
        def delete_lonely(self, moment: datetime, rows: int) -> int:  # noqa: ARG002 - as the store has it
            asked.set()
            raise PredictionsUnavailable("So did this one.")

    nowhere = "postgresql://nowhere.invalid/none"
    with Slow(nowhere) as slow, Labels(nowhere) as labels, Retention(slow, 1, 1, labels=labels, wait_days=1):
        assert asked.wait(30)
        assert measured.wait(30)
    assert caplog.messages == ["old predictions are not deleted: The statement took too long."]


def test_a_table_that_grows_is_warned_of_at_each_doubling(store: PredictionStore, caplog: pytest.LogCaptureFixture) -> None:
    size = store.size()
    assert size > 10_000
    running = Retention(store, 30, size / 1e9 / 1.5)
    for _ in range(3):
        running._watch_size()
    [warning] = caplog.messages
    assert "are kept for 30 days: set HEARTH_PREDICTIONS_KEEP_DAYS" in warning
    store.put([prediction(number, timedelta()) for number in range(100, 5_000)])
    running._watch_size()
    assert len(caplog.messages) == 2


def test_a_small_table_is_not_warned_of(store: PredictionStore, caplog: pytest.LogCaptureFixture) -> None:
    for limit in (1.0, 0.0):
        Retention(store, 30, limit)._watch_size()
    assert not caplog.messages
