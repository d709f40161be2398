"""Records go in over REST, a worker scores them, and REST tells what became of them: a real uvicorn, Valkey, PostgreSQL and Worker."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis

from deploy.embedded import temporary_servers
from hearth.errors import StreamFull, StreamUnavailable, UnknownMessage
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from hearth.settings import WorkerSettings
from hearth.streaming.client import StreamWriter
from hearth.streaming.consumer import StreamConsumer
from hearth.streaming.dead_letters import DeadLetters
from hearth.streaming.message_status import MessageStatuses
from hearth.streaming.messages import encode
from hearth.streaming.pending import PendingMessages
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.worker import Worker
from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record, served
from tests.support.waiting import LIMIT_SECONDS, wait_until

BOUND = 20
CONTRACT = employees()
DATA = Path(__file__).parents[2] / "data"
BAD = {"Designation": 17}
START = datetime(2026, 11, 21, tzinfo=UTC)


def record(level: int) -> dict[str, object]:
    return good_record(CONTRACT, Designation=level)


class Site:
    """A REST service with a stream of its own, and a worker when asked for."""

    def __init__(self, client: httpx.Client, valkey_url: str, database_url: str, name: str) -> None:
        self.client, self.valkey_url, self.database_url, self.name = client, valkey_url, database_url, name
        self.redis: Any = Redis.from_url(valkey_url)

    def queue(self, *records: object, **params: object) -> httpx.Response:
        return self.client.post("/predict_stream", params=params, json={"data": records})  # type: ignore[arg-type]  # httpx makes texts

    def queued(self, *records: object, **params: object) -> list[str]:
        answer = self.queue(*records, **params)
        assert answer.status_code == 202, answer.text
        return list(answer.json()["message_ids"])

    def outcome(self, message_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/predictions/{message_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def status(self, message_id: str) -> str:
        return str(self.outcome(message_id)["status"])

    @contextmanager
    def working(self) -> Iterator[None]:
        settings = worker_settings(self)
        stop, failed = threading.Event(), []
        with (
            StreamConsumer(self.valkey_url, self.name, "workers", "one", BOUND) as stream,
            PredictionStore(self.database_url) as store,
            served(FakeRegistry(champion="3", knn="3")) as models,
        ):
            contracts = {"employees": CONTRACT}
            worker = Worker(stream=stream, store=store, models=models, contracts=contracts, settings=settings, retrier=Retrier(stop))

            def work() -> None:
                try:
                    worker.run()
                except BaseException as error:  # noqa: BLE001 - handed to the test
                    failed.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(LIMIT_SECONDS)
        assert failed == []


def worker_settings(site: Site) -> WorkerSettings:
    given: dict[str, Any] = {
        "environment": "laptop",
        "data_dir": DATA,
        "mlflow_tracking_uri": "http://127.0.0.1:9",
        "alias_poll_seconds": 0.05,
        "predictions_url": site.database_url,
        "redis_url": site.valkey_url,
        "stream_name": site.name,
        "stream_group": "workers",
        "stream_consumer": "one",
        "stream_batch_messages": 100,
        "stream_block_milliseconds": 50,
        "stream_max_length": BOUND,
    }
    return WorkerSettings(**given)


@contextmanager
def site_of(valkey_url: str, database_url: str, registry: FakeRegistry, **changes: object) -> Iterator[Site]:
    name = f"stream-{uuid4().hex}"
    settings = service_settings(redis_url=valkey_url, predictions_url=database_url, stream_name=name, stream_max_length=BOUND, **changes)
    with running(create_app(settings, registry)) as client:
        site = Site(client, valkey_url, database_url, name)
        yield site
        site.redis.close()


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    url = temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")
    migrate(url)
    return url


@pytest.fixture(scope="module")
def shared_site(valkey_url: str, database_url: str) -> Iterator[Site]:
    with site_of(valkey_url, database_url, FakeRegistry(champion="3", knn="3")) as site:
        yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    """One service for all tests, with an empty stream for each."""
    shared_site.redis.delete(shared_site.name, f"{shared_site.name}_dead")
    return shared_site


class TestQueue:
    def test_each_record_is_scored_under_the_id_that_was_answered(self, site: Site) -> None:
        answer = site.queue(record(0), record(2), record(5), model="knn")
        assert answer.status_code == 202
        body = answer.json()
        assert (body["dataset"], body["alias"], body["n_records"], body["records_per_message"]) == ("employees", "knn", 3, 1)
        first, second, third = body["message_ids"]
        assert {site.status(id_) for id_ in body["message_ids"]} == {"queued"}

        with site.working():
            wait_until(lambda: [site.status(id_) for id_ in (first, second, third)] == ["scored"] * 3)
        assert [site.outcome(id_)["predictions"][0]["label"] for id_ in (first, second, third)] == ["Low", "Medium", "High"]
        [stored] = site.outcome(third)["predictions"]
        assert stored["probabilities"] == pytest.approx({"Low": 0.1, "Medium": 0.1, "High": 0.8})
        assert (stored["row"], stored["alias"], stored["version"], stored["source"], stored["role"]) == (0, "knn", "3", "stream", "answer")
        assert stored["record"]["Designation"] == 5

    def test_many_records_can_share_a_message(self, site: Site) -> None:
        levels = [0, 1, 2, 3, 4, 5, 0]
        ids = site.queued(*map(record, levels), batch=3)
        assert len(ids) == 3
        with site.working():
            wait_until(lambda: site.status(ids[2]) == "scored")
        rows = [(id_, stored["row"], stored["record"]["Designation"]) for id_ in ids for stored in site.outcome(id_)["predictions"]]
        assert rows == [(ids[i // 3], i % 3, level) for i, level in enumerate(levels)]

    def test_the_data_set_can_be_named_and_records_come_in_every_form_of_predict(self, site: Site) -> None:
        values = list(record(4).values())
        answer = site.client.post("/employees/predict_stream", json={"features": values})
        assert answer.status_code == 202
        [entry] = site.redis.xrange(site.name)
        assert json.loads(entry[1][b"records"]) == [record(4)]

    def test_another_data_set_is_not_found(self, site: Site) -> None:
        refused(site.client.post("/planets/predict_stream", json={"data": [record(1)]}), 404, "unknown_dataset")

    def test_a_raw_row_is_queued_without_what_no_model_sees(self, site: Site) -> None:
        site.queued({**record(4), "Employee ID": "fffe32", "Burn Rate": 0.5})
        [entry] = site.redis.xrange(site.name)
        assert json.loads(entry[1][b"records"]) == [record(4)]

    @pytest.mark.parametrize(
        ("params", "content", "status", "error"),
        [
            ({}, {"data": [record(1), BAD]}, 422, "invalid_records"),
            ({}, {"data": []}, 422, "invalid_body"),
            ({}, {"data": [record(1)] * 51}, 422, "invalid_body"),
            ({}, {"data": [record(1)] * (BOUND + 1)}, 422, "invalid_body"),
            ({"model": "best"}, {"data": [record(1)]}, 404, "unknown_alias"),
            ({"model": "svm"}, {"data": [record(1)]}, 503, "model_unavailable"),
            ({"batch": "many"}, {"data": [record(1)]}, 422, "invalid_request"),
            ({"batch": 0}, {"data": [record(1)]}, 422, "invalid_request"),
            ({"batch": 101}, {"data": [record(1)]}, 422, "invalid_request"),
        ],
    )
    def test_what_is_refused_leaves_nothing_in_the_stream(
        self, site: Site, params: dict[str, Any], content: object, status: int, error: str
    ) -> None:
        refused(site.client.post("/predict_stream", params=params, json=content), status, error)
        assert site.redis.xlen(site.name) == 0

    def test_while_the_registry_is_away_records_are_queued_for_workers_that_have_the_model(
        self, valkey_url: str, database_url: str
    ) -> None:
        registry = FakeRegistry()
        registry.away = True
        with site_of(valkey_url, database_url, registry) as site:
            site.queued(record(1))
            assert site.redis.xlen(site.name) == 1

    def test_while_the_stream_is_away_that_is_said_and_predictions_go_on(self, database_url: str) -> None:
        away = f"redis://127.0.0.1:{temporary_servers.free_port()}/0"
        with site_of(away, database_url, FakeRegistry(champion="3")) as site:
            answer = site.queue(record(1))
            refused(answer, 503, "stream_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert site.client.post("/predict", json={"data": [record(1)]}).status_code == 200


class TestBackpressure:
    def test_above_the_bound_nothing_is_queued_until_workers_have_caught_up(self, site: Site) -> None:
        site.queued(*[record(1)] * (BOUND - 2))
        answer = site.queue(*[record(1)] * 3)
        detail = refused(answer, 429, "stream_full")
        assert f"holds {BOUND - 2} messages" in detail
        assert int(answer.headers["retry-after"]) >= 1
        assert site.redis.xlen(site.name) == BOUND - 2
        site.queued(record(1), record(1))
        refused(site.queue(record(1)), 429, "stream_full")

        with site.working():
            wait_until(lambda: site.queue(record(1)).status_code == 202)

    def test_requests_at_the_same_time_never_pass_the_bound_together(self, site: Site) -> None:
        def send(_: int) -> tuple[int, int]:
            answer = site.queue(*[record(1)] * 3)
            return answer.status_code, len(answer.json().get("message_ids", ()))

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(40)))
        assert sorted({status for status, _ in answers}) == [202, 429]
        assert sum(count for _, count in answers) == site.redis.xlen(site.name) == BOUND - BOUND % 3

    def test_a_worker_that_trims_nothing_because_another_group_has_not_read_keeps_the_bound(self, site: Site) -> None:
        site.redis.xgroup_create(site.name, "audit", id="0", mkstream=True)
        ids = site.queued(*[record(1)] * BOUND)
        with site.working():
            wait_until(lambda: site.client.get(f"/predictions/{ids[-1]}").json()["predictions"] != [])
            refused(site.queue(record(1)), 429, "stream_full")
        assert site.redis.xlen(site.name) == BOUND
        assert site.status(ids[0]) == "queued", "for the other group"

    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(sizes=st.lists(st.integers(0, 8), max_size=8), bound=st.integers(0, 20))
    def test_all_messages_of_a_call_or_none_are_added(self, valkey_url: str, sizes: list[int], bound: int) -> None:
        name, held = f"stream-{uuid4().hex}", 0
        with StreamWriter(valkey_url, name) as writer:
            for size in sizes:
                messages = [encode("employees", "champion", [{"number": number}]) for number in range(size)]
                try:
                    ids = writer.send_within(bound, messages)
                except StreamFull:
                    assert held + size > bound
                else:
                    assert len(ids) == len(set(ids)) == size
                    held += size
                    assert held <= bound or size == 0
                assert writer.length() == held


class TestOutcome:
    def test_a_dead_message_is_found_with_its_reason_and_the_rest_of_it_with_its_predictions(self, site: Site) -> None:
        with StreamWriter(site.valkey_url, site.name) as writer:
            good, mixed, bad, unreadable = writer.send(
                [
                    encode("employees", "champion", [record(0)]),
                    encode("employees", "champion", [record(0), BAD, record(5)]),
                    encode("employees", "champion", [BAD]),
                    {b"records": b"["},
                ]
            )
        with site.working():
            wait_until(lambda: [site.status(id_) for id_ in (good, mixed, bad, unreadable)] == ["scored", "partly_dead", "dead", "dead"])
        outcome = site.outcome(mixed)
        assert [(stored["row"], stored["label"]) for stored in outcome["predictions"]] == [(0, "Low"), (2, "High")]
        assert outcome["dead"]["error"] == "invalid_records"
        assert "row 1, 'Designation': got 17" in outcome["dead"]["reason"]
        assert outcome["dead"]["time"]
        assert site.outcome(unreadable)["dead"]["error"] == "invalid_message"
        assert site.outcome(good)["dead"] is None

    def test_a_message_that_a_worker_holds_is_being_scored(self, site: Site) -> None:
        [first, second] = site.queued(record(0), record(1))
        with StreamConsumer(site.valkey_url, site.name, "workers", "gone", BOUND) as reader:
            reader.join()
            reader.read(1, 1_000)
        assert (site.status(first), site.status(second)) == ("being_scored", "queued")

    @pytest.mark.parametrize(
        "message_id",
        [
            "1-1",
            "0-0",
            "nonsense",
            "-",
            "1-",
            "18446744073709551616-0",
            "99999999999999999999-1",
            "\u0661-\u0661",
            "a\x00b",
            "1" * 5_000,
            "a/b",
            "%",
        ],
    )
    def test_an_id_that_nobody_knows_is_not_found(self, site: Site, message_id: str) -> None:
        answer = site.client.get(f"/predictions/{quote(message_id, safe='')}")
        assert answer.status_code == 404
        assert answer.json()["error"] in {"unknown_message", "not_found"}

    def test_a_settled_message_that_is_not_trimmed_yet_does_not_wait_any_more(self, site: Site) -> None:
        [message_id] = site.queued(record(0))
        with StreamConsumer(site.valkey_url, site.name, "workers", "one", BOUND) as reader:
            reader.join()
            reader.acknowledge([entry.id for entry in reader.read(1, 1_000)])
        refused(site.client.get(f"/predictions/{message_id}"), 404, "unknown_message")

    def test_while_the_store_is_away_that_is_said(self, valkey_url: str) -> None:
        away = f"postgresql://nobody:secret-word@127.0.0.1:{temporary_servers.free_port()}/predictions"
        with site_of(valkey_url, away, FakeRegistry(champion="3")) as site:
            with ThreadPoolExecutor(2) as pool:
                answers = pool.map(site.client.get, ["/predictions", "/predictions/1-1"])
                assert site.client.post("/predict", json={"data": [record(1)]}).status_code == 200
            for answer in answers:
                assert "secret-word" not in refused(answer, 503, "predictions_unavailable")

    def test_a_long_stream_of_dead_letters_is_searched_from_the_message_on(self, valkey_url: str) -> None:
        name = f"stream-{uuid4().hex}"
        redis: Any = Redis.from_url(valkey_url)
        seconds, _ = redis.time()
        pipeline = redis.pipeline(transaction=False)
        for number in range(2_500):
            pipeline.xadd(
                f"{name}_dead", {"message_id": f"{seconds * 1000}-{number}", "error": "e", "reason": f"reason {number}", "time": "t"}
            )
        pipeline.execute()
        redis.close()
        with DeadLetters(valkey_url, name) as letters:
            found = letters.find(f"{seconds * 1000}-2400")
            assert found is not None
            assert found.reason == "reason 2400"
            assert letters.find(f"{seconds * 1000}-2500") is None
            assert letters.find(f"{(seconds + 3600) * 1000}-1") is None
            first = letters.list(count=2_000)
            assert [letter.reason for letter in [*first, *letters.list(after=first[-1].id)]] == [f"reason {n}" for n in range(2_500)]


def prediction(number: int, scored_at: datetime, **changes: Any) -> Prediction:
    made = Prediction(
        message_id=f"{number}-0",
        row=0,
        dataset="employees",
        alias="champion",
        version="3",
        family="knn",
        code=0,
        label="Low",
        probabilities=(0.8, 0.1, 0.1),
        record={"number": number},
        enqueued_at=None,
        scored_at=scored_at,
    )
    return replace(made, **changes)


class TestPages:
    @pytest.fixture
    def empty(self, site: Site) -> Site:
        with psycopg.connect(site.database_url) as connection:
            connection.execute("TRUNCATE predictions")
        return site

    def test_pages_joined_are_all_of_them_newest_first_while_more_are_added(self, empty: Site) -> None:
        """For any times, some of them equal, any size of a page, and rows that are added between two pages."""
        numbers = iter(range(1_000_000))

        @hypothesis_settings(max_examples=25, deadline=None)
        @given(seconds=st.lists(st.integers(0, 5), max_size=25), limit=st.integers(1, 7), added=st.integers(0, 3))
        def check(seconds: list[int], limit: int, added: int) -> None:
            dataset = f"d{next(numbers)}"
            with PredictionStore(empty.database_url) as store:
                given = [prediction(next(numbers), START + timedelta(seconds=second), dataset=dataset) for second in seconds]
                store.put(given)
                seen: list[str] = []
                path: str | None = f"/predictions?limit={limit}&dataset={dataset}"
                while path:
                    page = empty.client.get(path).json()
                    seen += [entry["message_id"] for entry in page["predictions"]]
                    path = page["next"]
                    assert (page["cursor"] is None) == (path is None)
                    store.put([prediction(next(numbers), START + timedelta(days=1), dataset=dataset) for _ in range(added)])
            expected = sorted(given, key=lambda made: (made.scored_at, made.message_id), reverse=True)
            assert seen == [made.message_id for made in expected]

        check()

    def test_predictions_are_chosen_by_data_set_alias_source_role_and_time(self, empty: Site) -> None:
        with PredictionStore(empty.database_url) as store:
            store.put(
                [
                    prediction(1, START),
                    prediction(2, START + timedelta(seconds=1), alias="knn", source="rest"),
                    prediction(3, START + timedelta(seconds=2), dataset="heart", probabilities=(0.4, 0.6), label="yes"),
                    prediction(4, START + timedelta(seconds=3), role="challenger"),
                ]
            )

        def found(**params: str) -> list[int]:
            answer = empty.client.get("/predictions", params=params)
            assert answer.status_code == 200, answer.text
            return [entry["record"]["number"] for entry in answer.json()["predictions"]]

        assert found() == [3, 2, 1]
        assert found(dataset="employees") == [2, 1]
        assert found(model="knn") == [2]
        assert found(source="rest") == [2]
        assert found(role="challenger") == [4]
        assert found(since="2026-11-21T00:00:01Z") == [3, 2]
        assert found(since="2026-11-21T01:00:01+01:00", limit="1") == [3]
        assert found(dataset="planets") == []

    def test_a_next_link_keeps_what_was_chosen(self, empty: Site) -> None:
        with PredictionStore(empty.database_url) as store:
            store.put([prediction(number, START + timedelta(seconds=number), alias="knn") for number in range(5)] + [prediction(9, START)])
        page = empty.client.get("/predictions", params={"limit": 2, "model": "knn", "since": "2026-11-21T00:00:01+00:00"}).json()
        second = empty.client.get(page["next"]).json()
        assert [entry["record"]["number"] for entry in [*page["predictions"], *second["predictions"]]] == [4, 3, 2, 1]
        assert second["next"] is None

    def test_a_data_set_that_has_gone_is_shown_with_codes_for_names(self, empty: Site) -> None:
        with PredictionStore(empty.database_url) as store:
            store.put([prediction(1, START, dataset="planets", probabilities=(0.1, 0.9))])
        [entry] = empty.client.get("/predictions").json()["predictions"]
        assert entry["probabilities"] == {"0": 0.1, "1": 0.9}

    @pytest.mark.parametrize(
        ("params", "error"),
        [
            ({"after": "nonsense"}, "invalid_cursor"),
            ({"after": ""}, "invalid_cursor"),
            ({"limit": "0"}, "invalid_request"),
            ({"limit": "1001"}, "invalid_request"),
            ({"source": "pigeon"}, "invalid_request"),
            ({"dataset": "a\x00b"}, "invalid_request"),
            ({"model": "a\x00b"}, "invalid_request"),
            ({"since": "yesterday"}, "invalid_request"),
            ({"since": "2026-11-21T00:00:00"}, "invalid_request"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, site: Site, params: dict[str, str], error: str) -> None:
        refused(site.client.get("/predictions", params=params), 422, error)


def test_what_nobody_can_be_asked_about_is_not_called_unknown(database_url: str) -> None:
    away = f"redis://127.0.0.1:{temporary_servers.free_port()}/0"
    with PredictionStore(database_url) as store, PendingMessages(away, "s") as room, DeadLetters(away, "s") as letters:
        outcomes = MessageStatuses(room, letters, store)
        with pytest.raises(StreamUnavailable):
            outcomes.find("1-1")
        with pytest.raises(UnknownMessage):
            outcomes.find("a-request-of-rest")
        store.put([prediction(77, START)])
        found = outcomes.find("77-0")
    assert found.status == "scored"
    assert "does not answer" in found.problem
