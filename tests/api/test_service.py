"""What the service says of itself: who it is, whether it lives, whether it is ready, and its documentation."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from hearth.errors import RefusedModel, StreamUnavailable
from hearth.registry import RegisteredModel
from hearth_api.app import create_app
from hearth_api.readiness import Check
from tests.api.running import AS_ADMIN, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record
from tests.support.waiting import wait_until

GOOD = good_record(employees(), Designation=4)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), FakeRegistry(knn="1", champion="2"), checks={})) as client:
        yield client


class TestRoot:
    def test_says_who_answers_and_where_to_go_on(self, client: httpx.Client) -> None:
        body = client.get("/").json()

        assert (body["name"], body["default_dataset"]) == ("hearth", "employees")
        assert "employees" in body["datasets"]
        for name, link in body["links"].items():
            assert client.get(link).status_code == (405 if name == "predict" else 200), link

    def test_it_is_healthy_while_all_others_are_away(self) -> None:
        with running(create_app(service_settings())) as client:
            assert client.get("/health").json() == {"status": "ok"}
            refused(client.post("/predict", json={"data": [GOOD]}), 503, "model_unavailable")


class TestHealth:
    def test_it_is_healthy_when_the_champion_serves_though_other_versions_are_still_loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hearth.serving.model_follower._FIRST_MODEL_SECONDS", 0.05)
        registry = FakeRegistry(knn="1", champion="2")
        champion, others = threading.Event(), threading.Event()
        registry.while_loading = lambda: (others if registry.loads[-1] == "1" else champion).wait(30)
        app = create_app(service_settings(), registry, checks={})
        with running(app, waits=False) as client:  # the start of the process has waited for the champion in vain
            answer = client.get("/health")
            detail = refused(answer, 503, "starting")
            ready = client.get("/ready").json()
            open_inference = client.get("/v2/health/ready")
            champion.set()
            wait_until(lambda: client.get("/health").status_code == 200)
            served = client.post("/predict", json={"data": [GOOD]})
            knn = client.post("/predict?model=knn", json={"data": [GOOD]})
            others.set()

        assert detail.startswith("employees@champion: version 2 is being loaded.")
        assert int(answer.headers["retry-after"]) > 0
        assert "starting: employees@champion: version 2 is being loaded" in ready["detail"]
        assert open_inference.status_code == 503
        assert served.status_code == 200
        assert "version 1 is being loaded" in refused(knn, 503, "model_unavailable")

    def test_a_champion_that_is_refused_makes_it_healthy_and_not_ready(self) -> None:
        registry = FakeRegistry(knn="1", champion="2")
        registry.broken["2"] = RefusedModel("models:/employees/2 holds os.system")
        with running(create_app(service_settings(), registry, checks={})) as client:
            assert client.get("/health").status_code == 200
            assert "holds os.system" in client.get("/ready").json()["detail"]
            assert client.post("/predict?model=knn", json={"data": [GOOD]}).status_code == 200


class TestRequestId:
    def test_one_is_made_for_every_request(self, client: httpx.Client) -> None:
        answers = [client.post("/predict", json={"data": [GOOD]}), client.get("/health"), client.get("/nowhere"), client.get("/predict")]
        ids = [answer.headers["x-request-id"] for answer in answers]

        assert all(re.fullmatch("[0-9a-f]{32}", given) for given in ids)
        assert len(set(ids)) == len(ids)
        assert answers[0].json()["request_id"] == ids[0]

    def test_the_callers_own_is_kept(self, client: httpx.Client) -> None:
        assert re.fullmatch(
            r"trace:1\.a-B_2\.[0-9a-f]{12}", client.get("/health", headers={"X-Request-ID": "trace:1.a-B_2"}).headers["x-request-id"]
        )

    @pytest.mark.parametrize("given", ["", "two words", "x" * 129, "a\u00e4", '"><script>'])
    def test_one_that_is_not_sane_is_replaced(self, client: httpx.Client, given: str) -> None:
        answer = client.get("/health", headers={b"X-Request-ID": given.encode()})

        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])

    def test_a_failure_that_nobody_foresaw_has_one_and_tells_nothing_else(self, caplog: pytest.LogCaptureFixture) -> None:
        app = create_app(service_settings(), FakeRegistry(), checks={})

        @app.get("/fails")
        async def fails() -> None:
            raise ZeroDivisionError("a secret")

        with running(app) as client:
            answer = client.get("/fails", headers={"X-Request-ID": "lost-1"})

        assert refused(answer, 500, "internal_error") == "The service failed; its log says why."
        assert answer.headers["x-request-id"].startswith("lost-1.")
        assert "secret" not in answer.text
        assert any("GET /fails failed, request lost-1" in line.getMessage() for line in caplog.records)


def ready(app: FastAPI) -> tuple[int, dict[str, Any]]:
    with running(app) as client:
        answer = client.get("/ready")
        assert client.get("/health").status_code == 200
        return answer.status_code, answer.json()


def broken() -> None:
    raise StreamUnavailable("The stream does not answer.")


def forgotten() -> None:
    raise KeyError("x")


class TestReady:
    def test_with_all_servers_there_and_every_alias_served_it_is(self) -> None:
        status, body = ready(create_app(service_settings(), FakeRegistry(champion="1"), checks={"redis": lambda: None}))

        assert (status, body["status"], body["following"]) == (200, "ready", True)
        assert body["servers"]["redis"]["ok"]
        assert [(alias["alias"], alias["version"], alias["ok"]) for alias in body["aliases"]] == [("champion", "1", True)]

    @pytest.mark.parametrize(
        ("check", "said"), [(broken, "The stream does not answer"), (forgotten, "unknown: the check failed with KeyError")]
    )
    def test_a_server_that_is_away_is_named_with_how_it_is_missing(self, check: Check, said: str) -> None:
        status, body = ready(create_app(service_settings(), FakeRegistry(champion="1"), checks={"redis": check, "s3": lambda: None}))

        assert (status, body["error"], body["status"]) == (503, "not_ready", "not_ready")
        assert body["detail"] == f"redis: {said}"
        assert (body["servers"]["s3"]["ok"], body["servers"]["redis"]["ok"]) == (True, False)

    def test_a_server_that_hangs_is_not_waited_for_and_not_asked_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hearth_api.readiness._TIMEOUT_SECONDS", 0.05)
        answers, asked = threading.Event(), []

        def hang() -> None:
            asked.append(1)
            answers.wait(30)

        with running(create_app(service_settings(), FakeRegistry(champion="1"), checks={"mlflow": hang})) as client:
            details = [client.get("/ready").json()["detail"] for _ in range(3)]
            answers.set()

        assert set(details) == {"mlflow: no answer within 0.05 seconds"}
        assert len(asked) == 1

    def test_without_a_champion_of_the_default_data_set_it_is_not(self) -> None:
        status, body = ready(create_app(service_settings(), FakeRegistry(knn="1"), checks={}))

        assert status == 503
        assert body["detail"] == "employees@champion: no version carries this alias yet. Run a training first"

    def test_a_refused_version_is_told_and_the_one_before_keeps_it_ready(self) -> None:
        registry = FakeRegistry(champion="1")
        registry.broken["2"] = RefusedModel("models:/employees/2 holds os.system")
        with running(create_app(service_settings(), registry, checks={})) as client:
            registry.carried["champion"] = "2"
            client.post("/model/reload", headers=AS_ADMIN)
            answer = client.get("/ready")

        assert answer.status_code == 200
        [champion] = answer.json()["aliases"]
        assert (champion["version"], champion["registered"], champion["problem"]) == ("1", "2", "models:/employees/2 holds os.system")

    def test_a_refused_version_with_none_before_it_makes_it_unready(self) -> None:
        registry = FakeRegistry(knn="2", champion="1")
        registry.broken["2"] = RefusedModel("models:/employees/2 holds os.system")
        status, body = ready(create_app(service_settings(), registry, checks={}))

        assert status == 503
        assert body["detail"] == "employees@knn: models:/employees/2 holds os.system"

    def test_servers_that_are_not_there_are_named_all_at_once(self) -> None:
        away = service_settings(s3_endpoint_url="http://127.0.0.1:9")
        status, body = ready(create_app(away, FakeRegistry(champion="1")))

        assert status == 503
        assert {name for name, server in body["servers"].items() if not server["ok"]} == {"mlflow", "s3", "redis", "postgresql"}
        assert {name: server["address"] for name, server in body["servers"].items()} == {
            "mlflow": "http://127.0.0.1:9",
            "s3": "http://127.0.0.1:9",
            "redis": "127.0.0.1:9",
            "postgresql": "127.0.0.1:9/predictions",
        }
        assert body["servers"]["mlflow"]["problem"].endswith("(Connection refused)")


class TestDocumentation:
    def test_it_needs_no_other_host(self, client: httpx.Client) -> None:
        page = client.get("/docs").text

        assert "http://" not in page
        assert "https://" not in page

    @pytest.mark.parametrize("path", ["/predict", "/employees/predict"])
    def test_its_examples_work_and_fit_its_schema(self, client: httpx.Client, path: str) -> None:
        document = client.get("/openapi.json").json()
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        schema = Draft202012Validator({**body["schema"], "components": document["components"]})

        assert set(body["examples"]) == {"records", "values", "columns"}
        for example in body["examples"].values():
            schema.validate(example["value"])
            assert client.post(path, json=example["value"]).status_code == 200

    def test_its_columns_have_types_ranges_and_units(self, client: httpx.Client) -> None:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]

        assert schemas["EmployeesRecord"]["properties"]["Designation"] == {
            "type": "integer",
            "minimum": 0,
            "maximum": 5,
            "title": "Designation",
            "description": "Seniority, 0 is the most junior (a whole number from 0 to 5 (level))",
        }
        records = schemas["EmployeesRecordsRequest"]["properties"]["data"]
        assert (records["items"], records["maxItems"]) == ({"$ref": "#/components/schemas/EmployeesRecord"}, 50)

    def test_the_answer_fits_what_it_says(self, client: httpx.Client) -> None:
        """The answer is made without a model, so nothing else would notice."""
        document = client.get("/openapi.json").json()
        answer = {"$ref": "#/components/schemas/PredictionAnswer", "components": document["components"]}
        said = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]

        assert said["$ref"] == answer["$ref"]
        for data in ([GOOD], [GOOD, GOOD]):
            body = client.post("/predict", json={"data": data}).json()
            Draft202012Validator(answer).validate(body)
            at_times = {"set", "sets", "unusual", "unusual_records", "canary"}  # on request, or in a rollout
            assert set(body) == set(document["components"]["schemas"]["PredictionAnswer"]["properties"]) - at_times


def test_the_models_of_the_default_data_set_are_loaded_first() -> None:
    class Recording(FakeRegistry):
        def registered_model(self, dataset: str) -> RegisteredModel:
            order.append(dataset)
            return super().registered_model(dataset)

    order: list[str] = []
    with running(create_app(service_settings(api_default_dataset="heart"), Recording(), checks={})):
        pass

    assert order[0] == "heart"
    assert {"covertype", "employees"} <= set(order)


def test_a_default_data_set_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(Exception, match=r"There is no data set 'planets'; there are: .*employees"):
        create_app(service_settings(api_default_dataset="planets"))
