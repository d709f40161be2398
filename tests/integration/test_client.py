"""The client and its commands where answers are stored: a real PostgreSQL and a real Valkey behind the service."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from hearth.client import AsyncClient, Client, NotFound, TooManyRequests
from hearth.client.answers import StoredPrediction
from hearth.fakes import FakeRecords
from hearth.predictions.migration import migrate
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.api.test_remote_commands import hearth
from tests.support.models import DATA, FakeRegistry, employees, good_record
from tests.support.waiting import wait_until

RECORD = good_record(employees(), Designation=4)
BOUND = 4


@pytest.fixture
def url(valkey_url: str, fresh_database: str) -> Iterator[str]:
    migrate(fresh_database)
    settings = service_settings(
        redis_url=valkey_url,
        predictions_url=fresh_database,
        record_predictions="all",
        stream_name=f"client-{uuid4().hex}",
        stream_max_length=BOUND,
    )
    with running(create_app(settings, FakeRegistry(champion="2", knn="2"), {})) as client:
        yield str(client.base_url)


def stored(client: Client, count: int, **chosen: str) -> list[StoredPrediction]:
    wait_until(lambda: len(list(client.predictions(**chosen))) >= count)  # type: ignore[arg-type]  # words of the filters
    return list(client.predictions(page_size=3, **chosen))  # type: ignore[arg-type]


def test_stored_predictions_come_page_by_page_and_each_answer_once(url: str, tmp_path: Path) -> None:
    with Client(url) as client:
        answer = client.predict([RECORD] * 7, request_id="seven")
        client.predict(RECORD, model="knn")
        everything = stored(client, 8)

        assert len({(item.message_id, item.row) for item in everything}) == len(everything) == 8
        assert [item.scored_at for item in everything] == sorted((item.scored_at for item in everything), reverse=True)
        assert {item.message_id for item in stored(client, 7, model="champion")} == {answer.request_id}
        assert len(list(client.predictions(since=datetime.now(UTC) + timedelta(hours=1)))) == 0
        outcome = client.prediction(answer.request_id)
        assert (outcome.status, [item.row for item in outcome.predictions]) == ("scored", list(range(7)))

    async def collect() -> list[StoredPrediction]:
        async with AsyncClient(url) as client:
            return [item async for item in client.predictions(page_size=3)]

    assert asyncio.run(collect()) == everything

    lines = hearth("predictions", "--limit", 5, "--json", url=url, folder=tmp_path).output.splitlines()
    assert [StoredPrediction.model_validate(json.loads(line)) for line in lines] == everything[:5]
    table = hearth("predictions", "-n", 100, url=url, folder=tmp_path).output.splitlines()
    assert len(table) == 1 + 8
    assert hearth("predictions", answer.request_id, url=url, folder=tmp_path).output.startswith(f"{answer.request_id}: scored\n")


def test_the_examples_of_the_page_work(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs/client.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    FakeRecords.load(employees(), DATA).frame(300, 3).to_csv(tmp_path / "staff.csv", index=False)
    monkeypatch.chdir(tmp_path)
    with Client(url, timeout=250) as client:
        client.explain(RECORD)  # the first one waits until the code that explains is compiled
    namespace: dict[str, object] = {}

    for block in blocks:
        exec(block.replace("http://127.0.0.1:8800", url), namespace)  # noqa: S102 - our own page

    printed = capsys.readouterr().out
    assert len(blocks) == 7
    assert "High 0.8 2\n" in printed.replace("0.7999999999999999", "0.8")
    assert "['High', 'Low'] order-17." in printed
    assert "['Low', 'Low', 'Medium', 'Medium', 'High', 'High']" in printed
    assert "1 Designation 9 a whole number from 0 to 5 (level)\ninvalid_records 422 " in printed
    assert "\nTrue \n300 0 " in printed
    cast("Client", namespace["client"]).close()


def test_queued_records_wait_and_a_full_stream_queues_nothing(url: str, tmp_path: Path) -> None:
    with Client(url, retries=0) as client:
        queued = client.predict_stream([RECORD] * 5, batch=2)
        assert (queued.n_records, len(queued.message_ids)) == (5, 3)
        assert client.prediction(queued.message_ids[0]).status == "queued"
        with pytest.raises(TooManyRequests, match="stream_full"):
            client.predict_stream([RECORD] * 2)
        assert client.stream(letters=0).length == 3
        with pytest.raises(NotFound, match="unknown_message"):
            client.prediction("0-7")

    shown = hearth("predictions", queued.message_ids[0], url=url, folder=tmp_path)
    assert shown.output.splitlines()[0] == f"{queued.message_ids[0]}: queued"
