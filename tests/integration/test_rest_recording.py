"""What REST has answered is in the store, under the id of its answer."""

import csv
import io

import httpx

from hearth.predictions import PredictionStore
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support.models import FakeRegistry, employees, good_record
from tests.support.waiting import wait_until

CONTRACT = employees()
LEVELS = (5, 0, 2, 4)
DATA = [good_record(CONTRACT, Designation=level) for level in LEVELS]


def table(*levels: object) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(CONTRACT.feature_names))
    writer.writeheader()
    writer.writerows(good_record(CONTRACT, Designation=level) for level in levels)
    return text.getvalue().encode()


def test_answers_are_found_by_the_id_that_they_have(fresh_database: str) -> None:
    options = service_settings(predictions_url=fresh_database, record_predictions="all", record_drain_seconds=60)
    with running(create_app(options, FakeRegistry(champion="2"), checks={})) as client:
        headers = {"X-Request-ID": "mine"}
        answers = [client.post("/predict", json={"data": DATA}, headers=headers) for _ in range(2)]
        file = client.post("/predict/csv", content=table(1, 9, 3, "x", 0), headers={**headers, "Content-Type": "text/csv"})
        assert file.status_code == 200, file.text
        wait_until(lambda: "hearth_predictions_waiting 0.0" in client.get("/metrics").text)
        found = client.get(f"/predictions/{answers[0].headers['x-request-id']}").json()

    assert [given["label"] for given in found["predictions"]] == answers[0].json()["labels"]
    assert answers[0].headers["x-request-id"].startswith("mine.")
    with PredictionStore(fresh_database) as store:
        for answer in answers:
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
            stored = store.of_message(answer.headers["x-request-id"])
            assert [(given.row, given.record, given.source, given.version) for given in stored] == [
                (row, record, "rest", "2") for row, record in enumerate(DATA)
            ]
            assert [given.label for given in stored] == answer.json()["labels"]
        stored = store.of_message(file.headers["x-request-id"])
        assert [(given.row, given.record["Designation"], given.source) for given in stored] == [
            (0, 1, "file"),
            (2, 3, "file"),
            (4, 0, "file"),
        ]


def test_a_store_that_is_away_fails_no_request() -> None:
    away = "postgresql://nobody:nothing@127.0.0.1:9/predictions"
    options = service_settings(predictions_url=away, record_predictions="all", record_queue_records=10, record_drain_seconds=0)
    with running(create_app(options, FakeRegistry(champion="2"), checks={})) as client:
        answers = [client.post("/predict", json={"data": DATA}) for _ in range(20)]
        text = client.get("/metrics").text

    assert {answer.status_code for answer in answers} == {httpx.codes.OK}
    assert "hearth_predictions_not_stored_total" in text
