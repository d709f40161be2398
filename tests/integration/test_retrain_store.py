"""Decisions about training again, and erased records, on a real PostgreSQL."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from hearth.contracts import load_contract
from hearth.errors import UnknownMessage
from hearth.monitoring.retraining import LOST_AFTER, Choice, State
from hearth.predictions import Prediction
from hearth.predictions.erasure_store import ErasureStore
from hearth.predictions.label import Label
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.predictions.retrain_store import RetrainStore
from tests.support.samples import ROOT

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
HEART = load_contract("heart", ROOT / "data")
TRAIN = Choice(State.RUNNING, "drift", "served records have drifted")
WAIT = Choice(State.WAITING, "none", "nothing asks for a retraining", NOON)


@pytest.fixture
def database(fresh_database: str) -> str:
    migrate(fresh_database)
    return fresh_database


@pytest.fixture
def store(database: str) -> Iterator[RetrainStore]:
    with RetrainStore(database) as store:
        yield store


def answer(message_id: str, row: int = 0, role: str = "answer") -> Prediction:
    return Prediction(message_id, row, "heart", "champion", "1", "knn", 1, "disease", (0.2, 0.8), {"age": 50}, None, NOON, "rest", role)


def label(message_id: str, row: int = 0, minutes: int = 0) -> Label:
    return Label(message_id, row, "heart", 1, "disease", NOON + timedelta(minutes=minutes), "test", "rest")


def test_a_run_keeps_its_decision_to_train_whatever_a_retry_decides(store: RetrainStore) -> None:
    first = store.record("a", "heart", TRAIN, NOON)
    again = store.record("a", "heart", WAIT, NOON + timedelta(hours=1))
    assert first
    assert first == again
    assert store.latest("heart", 10) == [first]


def test_one_retraining_of_a_data_set_runs_at_a_time_even_if_two_are_decided_at_once(database: str) -> None:
    recorded: dict[str, object] = {}
    barrier = threading.Barrier(8)

    def decide(name: str) -> None:
        with RetrainStore(database) as store:
            barrier.wait()
            recorded[name] = store.record(name, "heart", TRAIN, NOON)

    threads = [threading.Thread(target=decide, args=[str(number)]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([row for row in recorded.values() if row]) == 1
    with RetrainStore(database) as store:
        assert len(store.latest("heart", 10)) == 1
        assert store.record("other", "covertype", TRAIN, NOON)


def test_a_retraining_that_was_lost_is_failed_by_the_next_one(store: RetrainStore) -> None:
    store.record("lost", "heart", TRAIN, NOON)
    assert store.record("too soon", "heart", TRAIN, NOON + LOST_AFTER - timedelta(seconds=1)) is None
    assert store.record("next", "heart", TRAIN, NOON + LOST_AFTER)
    lost = store.retrain("lost")
    assert lost
    assert (lost.state, lost.ended_at) == (State.FAILED, NOON + LOST_AFTER)
    assert lost.why.endswith("it did not end")


def test_a_wait_that_repeats_is_one_row_and_another_wait_is_another(store: RetrainStore) -> None:
    for minute in range(4):
        store.record(f"run-{minute}", "heart", WAIT, NOON + timedelta(minutes=minute))
    needs = Choice(State.LABELS_NEEDED, "drift", "drift, but no labels")
    store.record("run-5", "heart", needs, NOON + timedelta(minutes=5))
    store.record("run-5", "heart", needs, NOON + timedelta(minutes=6))  # a retry of the same run
    newest, oldest = store.latest("heart", 10)
    assert (newest.state, newest.detail.get("times")) == (State.LABELS_NEEDED, None)
    assert (oldest.id, oldest.detail["times"]) == ("run-0", 4)
    assert str(oldest.detail["last_at"]).startswith("2026-11-29T12:03")


def test_an_end_is_written_once_and_a_failed_run_can_still_end_well(store: RetrainStore) -> None:
    store.record("a", "heart", TRAIN, NOON)
    store.note("a", {"records": 1_500}, digest="0123", version="4")
    assert store.end("a", State.FAILED, "MLflow was away", NOON)
    assert store.end("a", State.DEPLOYED, "better", NOON + timedelta(hours=1))
    assert not store.end("a", State.REFUSED, "worse", NOON + timedelta(hours=2))
    row = store.retrain("a")
    assert row
    assert (row.state, row.why, row.version, row.digest, row.detail) == (State.DEPLOYED, "better", "4", "0123", {"records": 1_500})


def test_a_version_that_was_rolled_back_counts_as_refused_and_one_that_is_tried_is_known(store: RetrainStore, database: str) -> None:
    for name, version in (("a", "4"), ("b", "5")):
        store.record(name, "heart", TRAIN, NOON)
        store.note(name, {}, version=version)
        store.end(name, State.DEPLOYED, "deployed as canary", NOON)
    with psycopg.connect(database) as connection:
        for id_, version, state, ended in (("1", "4", "rolled_back", NOON), ("2", "5", "running", None)):
            connection.execute(
                "INSERT INTO rollouts (id, dataset, version, champion, way, state, share, started_by, started_at, changed_at, ended_at) "
                "VALUES (%s, 'heart', %s, '1', 'canary', %s, 0.05, 'test', %s, %s, %s)",
                (id_, version, state, NOON, NOON, ended),
            )
    situation = store.situation(HEART, "1", NOON)
    assert {past.id: past.state for past in situation.history} == {"a": State.REFUSED, "b": State.DEPLOYED}
    assert situation.rollout == "2"


def test_labels_count_once_a_record_and_are_new_until_a_retraining_begins(store: RetrainStore, database: str) -> None:
    now = datetime.now(UTC)
    with LabelStore(database) as labels:
        store.put([answer("a"), answer("a", 1), answer("b"), answer("b", role="challenger")])
        labels.add([label("a"), label("a", minutes=5), label("a", 1), label("not stored")])
        situation = store.situation(HEART, "1", now)
        assert (situation.labels, situation.new_labels, situation.drift) == (2, 2, None)
        store.record("run", "heart", TRAIN, datetime.now(UTC))
        labels.add([label("b")])
        situation = store.situation(HEART, "1", now)
    assert (situation.labels, situation.new_labels) == (3, 1)
    assert [past.id for past in situation.history] == ["run"]
    assert store.situation(HEART, "1", NOON + timedelta(days=91)).labels == 0


def test_an_erased_record_is_gone_and_neither_a_redelivery_nor_a_late_label_brings_it_back(store: RetrainStore, database: str) -> None:
    message = [answer("m", row) for row in range(3)] + [answer("m", 1, "challenger")]
    with LabelStore(database) as labels, ErasureStore(database) as erasure:
        store.put([*message, answer("n")])
        labels.add([label("m", row) for row in range(3)])
        store.record("run", "heart", TRAIN, NOON)
        store.note("run", {}, digest="0123", version="4")
        store.add_records("run", [("m", 1), ("n", 0)])

        erased = erasure.forget("m", 1, "a person")

        assert (erased.dataset, erased.predictions, erased.labels) == ("heart", 2, 1)
        assert [(each.digest, each.version) for each in erased.trained_on] == [("0123", "4")]
        store.put(message)  # redelivered, with records that are stored already
        store.put([answer("m", 1)])
        labels.add([label("m", 1, minutes=9)])
        assert [prediction.row for prediction in store.of_message("m")] == [0, 2]
        assert {each.row for each in labels.labelled("heart")} == {0, 2}
        again = erasure.forget("m", 1, "a person")
        assert (again.predictions, again.labels, len(again.trained_on)) == (0, 0, 1)

        whole = erasure.forget("m", None, "a person")
        assert (whole.row, whole.predictions, whole.labels) == (None, 2, 2)
        store.put([*message, answer("m", 7)])
        assert store.of_message("m") == []
        assert len(store.of_message("n")) == 1


def test_what_is_remembered_of_an_erased_record_is_its_key(store: RetrainStore, database: str) -> None:
    with ErasureStore(database) as erasure:
        store.put([answer("m")])
        erasure.forget("m", 0, "a person")
        with pytest.raises(UnknownMessage):
            erasure.forget("never seen", None, "a person")
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT message_id, row, dataset, forgotten_by FROM forgotten_records").fetchall()
    assert found == [("m", 0, "heart", "a person")]


def test_an_erasure_waits_for_whoever_writes_the_record_at_that_moment(store: RetrainStore, database: str) -> None:
    store.put([answer("m")])
    with ErasureStore(database) as erasure, psycopg.connect(database) as writer:
        writer.execute("INSERT INTO predictions SELECT * FROM predictions WHERE false")  # holds the lock of a writer
        columns = "message_id, dataset, alias, version, family, code, label, probabilities, record, enqueued_at, scored_at, source"
        writer.execute(f"INSERT INTO predictions (row, role, {columns}) SELECT 5, role, {columns} FROM predictions".encode())  # noqa: S608 - a constant
        thread = threading.Thread(target=erasure.forget, args=["m", None, "a person"])
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        writer.commit()
        thread.join(20)
    assert store.of_message("m") == []


def test_many_writers_and_erasures_at_once_leave_nothing_of_what_was_erased(database: str) -> None:
    names = [f"m{number}" for number in range(20)]

    def write(offset: int) -> None:
        with RetrainStore(database, max_connections=1) as store:
            for _ in range(3):
                for name in [*names[offset:], *names[:offset]]:
                    store.put([answer(name, row) for row in range(3)])

    with RetrainStore(database) as store, ErasureStore(database) as erasure:
        store.put([answer(name) for name in names])
        threads = [threading.Thread(target=write, args=[offset]) for offset in (0, 7, 13)]
        for thread in threads:
            thread.start()
        for name in names:
            erasure.forget(name, None, "a person")
        for thread in threads:
            thread.join()
        assert store.recent(100) == []
