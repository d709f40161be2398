"""The predictions store on a real PostgreSQL."""

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.embedded import temporary_servers
from hearth.errors import PredictionsUnavailable
from hearth.predictions import Cursor, Prediction, PredictionStore
from hearth.predictions.migration import migrate

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def prediction(message_id: str = "1-0", row: int = 0, **changes: Any) -> Prediction:
    given = Prediction(
        message_id=message_id,
        row=row,
        dataset="employees",
        alias="champion",
        version="3",
        family="knn",
        code=2,
        label="High",
        probabilities=(0.125, 0.25, 0.625),
        record={"Gender": "Female", "Designation": 2.0, "Mental Fatigue Score": None},
        enqueued_at=NOON - timedelta(seconds=1),
        scored_at=NOON,
    )
    return dataclasses.replace(given, **changes)


@pytest.fixture
def store(fresh_database: str) -> Iterator[PredictionStore]:
    migrate(fresh_database)
    with PredictionStore(fresh_database) as store:
        yield store


def test_a_stored_prediction_comes_back_as_it_was(store: PredictionStore) -> None:
    given = prediction(enqueued_at=None)

    assert store.put([given]) == 1

    assert store.recent() == [given]


def test_what_is_stored_already_is_neither_doubled_nor_changed(store: PredictionStore) -> None:
    store.put([prediction()])

    assert store.put([prediction(label="Low"), prediction(row=1)]) == 1

    assert [(found.row, found.label) for found in store.recent()] == [(1, "High"), (0, "High")]


def test_the_same_key_twice_in_one_batch_is_stored_once(store: PredictionStore) -> None:
    assert store.put([prediction(), prediction()]) == 1


def test_an_empty_batch_is_nothing(store: PredictionStore) -> None:
    assert store.put([]) == 0


def test_a_batch_is_stored_whole_or_not_at_all(store: PredictionStore) -> None:
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        store.put([prediction(), prediction(row=1, code=99_999)])

    assert store.recent() == []


@pytest.mark.parametrize("limit", [1, 3])
def test_the_newest_come_first(store: PredictionStore, limit: int) -> None:
    store.put([prediction(row=row, scored_at=NOON + timedelta(seconds=row)) for row in range(5)])

    assert [found.row for found in store.recent(limit)] == [4, 3, 2][:limit]


def test_predictions_are_found_by_data_set_and_time(store: PredictionStore) -> None:
    store.put([prediction(row=row, scored_at=NOON + timedelta(seconds=row)) for row in range(3)])
    store.put([prediction("2-0", dataset="heart", scored_at=NOON)])

    assert [found.row for found in store.since(NOON + timedelta(seconds=1), "employees")] == [1, 2]
    assert [found.message_id for found in store.recent(dataset="heart")] == ["2-0"]


def test_pages_follow_each_other_without_a_gap_or_a_double_while_more_comes_in(store: PredictionStore) -> None:
    given = [prediction(f"{number}-0", row, scored_at=NOON + timedelta(seconds=number // 3)) for number in range(8) for row in range(2)]
    store.put(given)

    first = store.page(5)
    store.put([prediction("9-0", scored_at=NOON + timedelta(minutes=1))])
    pages, before = [first], Cursor.after(first[-1])
    while page := store.page(5, before):
        pages.append(page)
        before = Cursor.decode(Cursor.after(page[-1]).encode())

    assert [found for page in pages for found in page] == sorted(given, key=lambda one: (one.scored_at, one.message_id, one.row))[::-1]


def test_a_page_holds_only_what_was_asked_for(store: PredictionStore) -> None:
    store.put(
        [
            prediction("1-0"),
            prediction("1-0", role="challenger", alias="challenger", version="4"),
            prediction("2-0", dataset="heart"),
            prediction("3-0", source="rest", alias="svm"),
        ]
    )

    assert {found.message_id for found in store.page(9)} == {"1-0", "2-0", "3-0"}
    assert [found.message_id for found in store.page(9, dataset="heart")] == ["2-0"]
    assert [found.message_id for found in store.page(9, alias="svm")] == ["3-0"]
    assert [found.message_id for found in store.page(9, source="rest")] == ["3-0"]
    assert [found.version for found in store.page(9, role="challenger")] == ["4"]
    assert store.page(9, dataset="heart", alias="svm") == []


def test_a_challenger_stands_beside_the_answer_and_is_not_taken_for_one(store: PredictionStore) -> None:
    answer, shadow = prediction(), prediction(role="challenger", alias="challenger", version="4", label="Low")

    assert store.put([shadow, answer, prediction(row=1)]) == 3

    assert store.of_message("1-0") == [answer, shadow, prediction(row=1)]
    assert store.of_message("2-0") == []
    assert list(store.since()) == [answer, prediction(row=1)]
    assert store.recent() == [prediction(row=1), answer]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    probabilities=st.lists(st.floats(0, 1), min_size=1, max_size=8),
    texts=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2, max_size=2),
    number=st.floats(-1e15, 1e15) | st.none(),
)
def test_any_prediction_that_a_contract_allows_survives(
    store: PredictionStore, probabilities: list[float], texts: list[str], number: float | None
) -> None:
    message_id = f"{hash((tuple(probabilities), *texts, number))}"
    given = prediction(message_id, probabilities=tuple(probabilities), label=texts[0], record={texts[1]: texts[0], "number": number})

    store.put([given])

    assert given in list(store.since())


def test_processes_that_start_together_migrate_once(fresh_database: str) -> None:
    errors: list[Exception] = []

    def start() -> None:
        try:
            migrate(fresh_database)
        except Exception as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM predictions_version").fetchall() == [(1,)]


def test_migrating_again_keeps_what_is_stored(store: PredictionStore, fresh_database: str) -> None:
    store.put([prediction()])

    assert migrate(fresh_database) == "0013"

    assert store.recent() == [prediction()]


def test_the_predictions_of_a_trace_are_found_by_an_index(store: PredictionStore, fresh_database: str) -> None:
    store.put([prediction(f"{number}-0", trace_id=f"{number % 1_000:032x}") for number in range(3_000)])
    find = "SELECT message_id FROM predictions WHERE trace_id = '00000000000000000000000000000007'"

    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("ANALYZE predictions")
        found = [name for (name,) in connection.execute(find)]
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {find}"))

    assert sorted(found) == ["1007-0", "2007-0", "7-0"]
    assert "predictions_trace_id" in plan


def test_writers_of_the_same_keys_wait_for_each_other(store: PredictionStore) -> None:
    batch = [prediction(f"{number}-0") for number in range(500)]
    new: list[int] = []
    threads = [threading.Thread(target=lambda order=order: new.append(store.put(order))) for order in (batch, batch[::-1], batch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(new) == len(batch)


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    port = temporary_servers.free_port()
    url = f"postgresql://hearth:secret-word@127.0.0.1:{port}/predictions"

    with PredictionStore(url) as store, pytest.raises(PredictionsUnavailable, match=rf"127\.0\.0\.1:{port}/predictions.*refused") as caught:
        store.put([prediction()])
    with pytest.raises(PredictionsUnavailable, match=str(port)) as caught_too:
        migrate(url)

    assert "secret-word" not in f"{caught.value}{caught_too.value}"


def test_a_wrong_password_is_said_to_be_wrong(fresh_database: str) -> None:
    wrong = urlsplit(fresh_database)._replace(netloc=f"hearth:wrong@127.0.0.1:{urlsplit(fresh_database).port}").geturl()

    with PredictionStore(wrong) as store, pytest.raises(PredictionsUnavailable, match="password authentication failed"):
        store.recent()


def test_a_store_that_was_never_migrated_says_what_to_do(fresh_database: str) -> None:
    with PredictionStore(fresh_database) as store, pytest.raises(PredictionsUnavailable, match="hearth store migrate"):
        store.recent()


def test_connections_that_the_server_has_cut_are_replaced(store: PredictionStore, fresh_database: str) -> None:
    store.put([prediction()])
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    assert store.put([prediction(row=1)]) == 1


def test_the_schema_is_part_of_the_package() -> None:
    code = "import importlib.resources as r; print((r.files('hearth.predictions.migrations') / 'versions/0001_predictions.py').is_file())"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "True"


def test_a_read_ends_while_the_server_stands_still_and_the_next_one_succeeds() -> None:
    with temporary_servers.postgres_server() as server:
        url = temporary_servers.create_database(server.url, "predictions")
        migrate(url)
        with PredictionStore(url, statement_seconds=0.5) as store:
            assert store.page(1) == []
            leader = psutil.Process(server.pid)
            processes = [leader, *leader.children(recursive=True)]
            for process in processes:
                process.suspend()
            try:
                with pytest.raises(PredictionsUnavailable):
                    store.page(1)
            finally:
                for process in processes:
                    process.resume()
            assert store.page(1) == []


def test_a_statement_that_takes_too_long_is_ended_by_the_server(fresh_database: str) -> None:
    migrate(fresh_database)
    with (
        PredictionStore(fresh_database, statement_seconds=0.2) as store,
        psycopg.connect(fresh_database) as other,
    ):
        other.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(PredictionsUnavailable, match="statement timeout"):
            store.page(1)
        other.rollback()
        assert store.page(1) == []


def test_readers_behind_one_that_got_no_connection_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of them would wait as long again, and so would SIGTERM."""
    with temporary_servers.postgres_server() as server:
        database = temporary_servers.create_database(server.url, "predictions")
        migrate(database)
        with PredictionStore(database, connect_seconds=2, refuse_seconds=60) as store:
            store.put([prediction()])
            processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
            for process in processes:
                process.suspend()
            try:
                with pytest.raises(PredictionsUnavailable, match="cannot be used") as first:
                    store.page(1)
                with monkeypatch.context() as patched:
                    patched.setattr(store, "_connection", lambda: pytest.fail("it waited for a connection"))
                    with pytest.raises(PredictionsUnavailable) as second:
                        store.page(1)
            finally:
                for process in processes:
                    process.resume()
            assert str(first.value) == str(second.value)
            store._refuse_seconds = 0
            assert len(store.page(1)) == 1
