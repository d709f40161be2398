"""Labels beside the predictions, on a real PostgreSQL."""

import dataclasses
import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearth.errors import PredictionsUnavailable
from hearth.predictions import Prediction
from hearth.predictions.label import Label, LabelOutcome, Outcome, RecordKey
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.predictions.retention import Retention

NOW = datetime.now(UTC)
CLASSES = ("Low", "Medium", "High")


def prediction(message_id: str, row: int = 0, **changes: Any) -> Prediction:
    made = Prediction(message_id, row, "employees", "champion", "3", "knn", 1, "Medium", (0.2, 0.7, 0.1), {"Designation": row}, None, NOW)
    return dataclasses.replace(made, **changes)


def label(message_id: str, code: int = 2, row: int = 0, minutes: float | None = 0, **changes: Any) -> Label:
    observed_at = None if minutes is None else NOW + timedelta(minutes=minutes)
    return dataclasses.replace(Label(message_id, row, "employees", code, CLASSES[code], observed_at, "hr", "rest"), **changes)


def outcomes(store: LabelStore, labels: Sequence[Label]) -> list[str]:
    return [outcome.outcome.value for outcome in store.add(labels)]


def truths(store: LabelStore, **filters: Any) -> list[tuple[str, int, int]]:
    return [(found.message_id, found.row, found.truth) for found in store.labelled("employees", **filters)]


@pytest.fixture
def store(fresh_database: str) -> Iterator[LabelStore]:
    migrate(fresh_database)
    with LabelStore(fresh_database) as store:
        yield store


def test_a_label_joins_its_prediction_whichever_comes_first(store: LabelStore) -> None:
    store.put([prediction("a", 0), prediction("a", 1)])

    assert outcomes(store, [label("a", 2), label("a", 0, 1), label("b", 1)]) == ["joined", "joined", "waiting"]
    assert truths(store) == [("a", 0, 2), ("a", 1, 0)]
    store.put([prediction("b")])
    assert truths(store) == [("a", 0, 2), ("a", 1, 0), ("b", 0, 1)]

    found = store.labelled("employees")[0]
    assert (found.version, found.role, found.code, found.probabilities, found.record) == (
        "3",
        "answer",
        1,
        [0.2, 0.7, 0.1],
        {"Designation": 0},
    )
    assert (found.scored_at, found.observed_at) == (NOW, NOW)


def test_a_delivery_that_is_repeated_writes_nothing(store: LabelStore, fresh_database: str) -> None:
    reports = [label("a", 2), label("a", 1, 1), label("b", 0, minutes=None), label("a", 2)]
    assert outcomes(store, reports) == ["waiting", "waiting", "waiting", "same"]
    assert outcomes(store, reports) == ["same"] * 4
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM labels").fetchone() == (3,)
    assert store.add([]) == []


def test_a_different_label_is_kept_beside_the_one_before_and_the_newest_observed_counts(store: LabelStore, fresh_database: str) -> None:
    store.put([prediction("a")])
    store.add([label("a", 0)])

    assert store.add([label("a", 2, minutes=5)]) == [LabelOutcome(Outcome.CHANGED, "Low")]
    assert store.add([label("a", 1, minutes=-5)]) == [LabelOutcome(Outcome.OLDER, "High")]
    assert truths(store) == [("a", 0, 2)]
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT label FROM labels ORDER BY id").fetchall() == [("Low",), ("High",), ("Medium",)]


def test_labels_of_another_data_set_stay_apart(store: LabelStore) -> None:
    store.put([prediction("a")])

    assert outcomes(store, [label("a", 1, dataset="heart")]) == ["waiting"]
    assert truths(store) == []
    assert outcomes(store, [label("a", 2)]) == ["joined"]
    assert store.labelled("heart") == []


def test_answers_are_chosen_by_time_version_role_and_number(store: LabelStore) -> None:
    store.put([prediction(name, version=version) for name, version in (("a", "3"), ("b", "3"), ("c", "4"), ("d", "4"))])
    store.put([prediction("b", version="9", role="challenger", code=0, label="Low")])
    store.add([label(name, minutes=minutes) for name, minutes in (("a", 3), ("b", 2), ("c", 1), ("d", 1))])

    assert [name for name, *_ in truths(store)] == ["c", "d", "b", "a"]
    assert [name for name, *_ in truths(store, limit=2)] == ["b", "a"]
    assert [name for name, *_ in truths(store, version="4")] == ["c", "d"]
    assert [name for name, *_ in truths(store, since=NOW + timedelta(minutes=2))] == ["b", "a"]
    assert [name for name, *_ in truths(store, until=NOW + timedelta(minutes=2))] == ["c", "d"]
    [shadow] = store.labelled("employees", role="challenger")
    assert (shadow.message_id, shadow.version, shadow.role, shadow.code) == ("b", "9", "challenger", 0)


def test_the_data_sets_of_records_are_known(store: LabelStore) -> None:
    store.put([prediction("a"), prediction("b", 3, dataset="heart")])

    keys = [RecordKey("a", 0), RecordKey("b", 3), RecordKey("b", 0), RecordKey("c", 0)]
    assert store.datasets(keys) == {keys[0]: "employees", keys[1]: "heart"}


_NUMBERS = count()
_REPORTS = st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 2), st.integers(0, 9))  # id, row, code, minute


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_the_join_does_not_depend_on_the_order_of_arrival(store: LabelStore, data: st.DataObject) -> None:
    prefix = f"{next(_NUMBERS)}-"
    reports = data.draw(st.lists(_REPORTS, max_size=6, unique_by=lambda report: report[:2] + report[3:]))
    events: list[Label | Prediction] = [label(prefix + name, code, row, minutes) for name, row, code, minutes in reports]
    events += [prediction(prefix + name, row) for name in "ab" for row in (0, 1)]
    for event in data.draw(st.permutations(events + events[:2])):
        if isinstance(event, Label):
            store.add([event])
        else:
            store.put([event])

    newest = {(prefix + name, row): code for name, row, code, _ in sorted(reports, key=lambda report: report[3]) if name != "c"}
    assert {(name, row): code for name, row, code in truths(store) if name.startswith(prefix)} == newest


def test_two_that_label_the_same_records_at_once_neither_fail_nor_double(store: LabelStore, fresh_database: str) -> None:
    reports = [label(f"{number}", number % 3) for number in range(300)]
    failed = []

    def add(given: Sequence[Label]) -> None:
        try:
            store.add(given)
        except PredictionsUnavailable as error:
            failed.append(error)

    threads = [threading.Thread(target=add, args=[order]) for order in (reports, reports[::-1]) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM labels").fetchone() == (300,)


def test_labels_go_with_their_predictions(store: LabelStore, fresh_database: str) -> None:
    store.put([prediction("old", scored_at=NOW - timedelta(days=40)), prediction("new")])
    store.add([label("old"), label("old", 1, minutes=1), label("new"), label("lonely")])

    assert store.delete_before(NOW - timedelta(days=30), 100) == 1

    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT message_id FROM labels ORDER BY message_id").fetchall() == [("lonely",), ("new",)]


def test_labels_that_wait_too_long_are_deleted_and_others_are_not(
    store: LabelStore, fresh_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.put([prediction("joined")])
    store.add([label("joined"), label("waits"), label("lonely"), label("joined", dataset="heart")])
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE labels SET received_at = now() - interval '31 days' WHERE message_id <> 'waits'")
    gone = threading.Event()

    class Watched(LabelStore):
        def delete_lonely(self, moment: datetime, rows: int) -> int:
            deleted = store.delete_lonely(moment, rows)
            if not deleted:
                gone.set()
            return deleted

    watched = Watched("postgresql://nowhere.invalid/none")
    with Retention(store, 0, labels=watched, wait_days=30):
        assert gone.wait(30)

    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT message_id, dataset FROM labels ORDER BY message_id").fetchall() == [
            ("joined", "employees"),
            ("waits", "employees"),
        ]
    assert caplog.messages == ["2 labels without a prediction of more than 30 days ago are deleted"]
