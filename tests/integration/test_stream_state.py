"""REST tells how the stream is: a real uvicorn and Valkey."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from deploy.embedded import temporary_servers
from hearth.streaming.client import StreamWriter
from hearth.streaming.consumer import DeadLetter, StreamConsumer
from hearth.streaming.messages import encode
from hearth_api.app import create_app
from tests.api.running import AS_PAGE, refused, running, service_settings
from tests.support.models import FakeRegistry

BOUND = 50


@pytest.fixture
def name() -> str:
    return f"stream-{uuid4().hex}"


@pytest.fixture
def client(valkey_url: str, name: str) -> Iterator[httpx.Client]:
    settings = service_settings(redis_url=valkey_url, stream_name=name, stream_max_length=BOUND)
    with running(create_app(settings, FakeRegistry(champion="1"))) as client:
        yield client


def test_a_stream_that_nobody_has_used_is_empty(client: httpx.Client, name: str) -> None:
    assert client.get("/stream").json() == {
        "stream": name,
        "group": "workers",
        "length": 0,
        "bound": BOUND,
        "lag": None,
        "pending": 0,
        "oldest_seconds": 0.0,
        "newest_seconds": None,
        "dead_letters": 0,
        "latest_dead_letters": [],
    }
    assert client.get("/stream").json()["lag"] == 0, "the group is there from now on"


def test_what_waits_what_is_being_scored_and_what_has_died_is_counted(client: httpx.Client, valkey_url: str, name: str) -> None:
    with StreamWriter(valkey_url, name) as writer, StreamConsumer(valkey_url, name, "workers", "one", BOUND) as reader:
        reader.join()
        assert client.get("/stream").json()["newest_seconds"] is None
        ids = writer.send([encode("employees", "champion", [{"number": number}]) for number in range(5)])
        first, second, _ = reader.read(3, 1_000)
        time = datetime.now(UTC).isoformat()
        for entry, reason in ((first, "the first"), (second, "the second")):
            reader.acknowledge([entry.id], [DeadLetter(entry, "invalid_records", reason, time)])

        state = client.get("/stream").json()

        assert (state["length"], state["lag"], state["pending"], state["dead_letters"]) == (3, 2, 1, 2)
        assert state["oldest_seconds"] > 0
        assert 0 < state["newest_seconds"] <= state["oldest_seconds"]
        assert state["latest_dead_letters"] == [
            {"message_id": id_, "error": "invalid_records", "reason": reason, "time": time, "dataset": "employees", "trace_id": None}
            for id_, reason in ((ids[1], "the second"), (ids[0], "the first"))
        ]
        [letter] = client.get("/stream", params={"letters": 1}).json()["latest_dead_letters"]
        assert letter["message_id"] == ids[1]
        assert client.get("/stream", params={"letters": 0}).json()["latest_dead_letters"] == []


def test_the_dead_letters_of_one_data_set_are_listed(client: httpx.Client, valkey_url: str, name: str) -> None:
    with StreamWriter(valkey_url, name) as writer, StreamConsumer(valkey_url, name, "workers", "one", BOUND) as reader:
        reader.join()
        for dataset in ("employees", "heart", "employees"):
            writer.send([encode(dataset, "champion", [{}])])
        for entry in reader.read(3, 1_000):
            reader.acknowledge([entry.id], [DeadLetter(entry, "invalid_records", "it is empty", "now")])

    def listed(**query: str | int) -> list[str]:
        return [letter["dataset"] for letter in client.get("/stream", params=query).json()["latest_dead_letters"]]

    assert listed() == ["employees", "heart", "employees"]
    assert listed(dataset="heart") == ["heart"]
    assert listed(dataset="employees", letters=1) == ["employees"]
    assert listed(dataset="nothing") == []


@pytest.mark.parametrize("letters", [-1, 101, "many"])
def test_a_count_of_letters_that_cannot_be_is_refused(client: httpx.Client, letters: object) -> None:
    refused(client.get(f"/stream?letters={letters}"), 422, "invalid_request")


def test_a_stream_that_is_away_is_said_to_be(name: str) -> None:
    away = f"redis://127.0.0.1:{temporary_servers.free_port()}/0"
    with running(create_app(service_settings(redis_url=away, stream_name=name), FakeRegistry())) as client:
        detail = refused(client.get("/stream"), 503, "stream_unavailable")
    assert name in detail


def test_it_is_closed_where_predictions_need_a_key(valkey_url: str, name: str) -> None:
    settings = service_settings(redis_url=valkey_url, stream_name=name, api_require_key=True)
    with running(create_app(settings, FakeRegistry())) as client:
        refused(client.get("/stream"), 401, "invalid_key")
        assert client.get("/stream", headers=AS_PAGE).status_code == 200
