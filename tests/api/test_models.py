"""What the service says of its models and of its data sets."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hearth.errors import RefusedModel
from hearth.modelling.bounds import BoundResult
from hearth.modelling.comparison import Comparison, Interval
from hearth.modelling.gate import Decision, Verdict
from hearth.modelling.standing import Standing
from hearth_api.app import create_app
from tests.api.running import AS_ADMIN, AS_PAGE, refused, running, service_settings
from tests.support.models import FakeRegistry, employees

CONTRACT = employees()


@pytest.fixture(scope="module")
def registry() -> FakeRegistry:
    return FakeRegistry(knn="1", champion="2")


@pytest.fixture(scope="module")
def client(registry: FakeRegistry) -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), registry)) as client:
        yield client


def aliases_of(client: httpx.Client, path: str = "/models") -> dict[str, Any]:
    [dataset] = [found for found in client.get(path).json()["datasets"] if found["dataset"] == "employees"]
    assert (dataset["registered_model"], dataset["metric"]) == ("employees", "macro_f1")
    return {entry["alias"]: entry for entry in dataset["aliases"]}


class TestList:
    @pytest.mark.parametrize("path", ["/models", "/list-models"])
    def test_every_alias_is_listed_with_what_it_serves(self, client: httpx.Client, path: str) -> None:
        aliases = aliases_of(client, path)

        assert set(aliases) == {"knn", "svm", "lightgbm", "champion", "challenger", "canary", "previous"}
        assert aliases["knn"] | {"since": ""} == {
            "alias": "knn",
            "version": "1",
            "registered": "1",
            "family": "knn",
            "run_id": "run-1",
            "metrics": {"macro_f1": 0.81, "accuracy": 0.83},
            "origin": "unknown",
            "why": "",
            "standing": None,
            "decision": None,
            "since": "",
            "problem": "",
            "signed": False,
            "challenge": None,
            "share": None,
        }
        assert aliases["champion"]["share"] == 1
        assert aliases["svm"]["version"] is None

    def test_nobody_is_asked_for_it(self, client: httpx.Client, registry: FakeRegistry) -> None:
        asked = registry.calls
        for path in ("/models", "/model-info", "/datasets"):
            assert client.get(path).status_code == 200

        assert registry.calls == asked

    def test_a_version_that_was_refused_is_told_beside_the_one_that_serves(self) -> None:
        registry = FakeRegistry(champion="1")
        with running(create_app(service_settings(), registry)) as client:
            registry.broken["666"] = RefusedModel("models:/employees/666 holds os.system")
            registry.carried["champion"] = "666"
            client.post("/model/reload", headers=AS_ADMIN)
            champion = aliases_of(client)["champion"]
            info = client.get("/model-info").json()

        for said in (champion, info):
            assert (said["version"], said["registered"], said["problem"]) == ("1", "666", "models:/employees/666 holds os.system")

    def test_what_is_loaded_is_told_while_the_registry_is_away(self) -> None:
        registry = FakeRegistry(champion="1")
        with running(create_app(service_settings(), registry)) as client:
            registry.away = True
            client.post("/model/reload", headers=AS_ADMIN)
            champion = aliases_of(client)["champion"]

        assert (champion["version"], champion["problem"]) == ("1", "MLflow does not answer.")
        assert champion["metrics"] == {"macro_f1": 0.81, "accuracy": 0.83}


class TestVersions:
    def test_each_is_listed_the_latest_first_also_one_that_carries_no_alias(self) -> None:
        registry = FakeRegistry(champion="2", knn="2", previous="1")
        registry.tags |= {"10": {"hearth.gate": "refused"}, "2": {"hearth.gate": "passed"}}
        with running(create_app(service_settings(), registry)) as client:
            body = client.get("/models/employees/versions").json()

        assert body["dataset"] == "employees"
        assert [(one["version"], one["aliases"], one["gate"]) for one in body["versions"]] == [
            ("10", [], "refused"),
            ("2", ["champion", "knn"], "passed"),
            ("1", ["previous"], "not judged"),
        ]
        assert body["versions"][0] | {"version": "", "aliases": [], "gate": ""} == {
            "version": "",
            "family": "knn",
            "aliases": [],
            "metrics": {"macro_f1": 0.81, "accuracy": 0.83},
            "gate": "",
            "why": "",
            "origin": "unknown",
            "data_digest": "digest",
            "standing": None,
            "decision": None,
            "approval": None,
            "created": "2026-11-21T00:00:00Z",
            "run_id": "run-10",
        }

    def test_each_has_its_score_on_one_split_what_it_was_made_from_and_why_it_is_where_it_is(self) -> None:
        result = BoundResult("recall_gap.High", 0.1, Interval(0.15, 0.12, 0.18), "broken", "Gender: Male against Female")
        standing = Standing("feed", "file", 3_400, "macro_f1", Interval(0.8, 0.79, 0.81), Interval(0.3, 0.28, 0.32), None, (result,))
        comparison = Comparison(3_400, Interval(-0.02, -0.03, -0.01), Interval(0.1, 0.05, 0.15), Interval(0.2, 0.19, 0.21), 1.0)
        verdict = Verdict(passed=False, reason="it was refused", holder="7", comparison=comparison, bounds=(result,))
        decision = Decision(
            "employees",
            "knn",
            "1",
            passed=False,
            score=0.8,
            champion=None,
            reasons=("it was refused", "champion stays"),
            digest="feed",
            rows=3_400,
            verdict=verdict,
        )
        registry = FakeRegistry(champion="1")
        registry.tags["1"] = {
            "hearth.standing": standing.to_json().decode(),
            "hearth.decision": decision.to_json().decode(),
            "hearth.origin": "generated",
        }
        with running(create_app(service_settings(), registry)) as client:
            [version] = client.get("/models/employees/versions").json()["versions"]
            champion = aliases_of(client)["champion"]
            asked = "{ registeredVersions { origin why standing { score low high rows dataOrigin bounds { bound answer about } } } }"
            [graph] = client.post("/graphql", json={"query": asked}).json()["data"]["registeredVersions"]

        assert version["standing"] == {
            "data_digest": "feed",
            "data_origin": "file",
            "rows": 3_400,
            "metric": "macro_f1",
            "score": 0.8,
            "low": 0.79,
            "high": 0.81,
            "log_loss": 0.3,
            "calibration_error": None,
            "bounds": [
                {
                    "bound": "recall_gap.High",
                    "limit": 0.1,
                    "figure": 0.15,
                    "low": 0.12,
                    "high": 0.18,
                    "answer": "broken",
                    "about": "Gender: Male against Female",
                }
            ],
            "problem": "",
        }
        assert version["decision"] == champion["decision"]
        assert version["decision"] == {
            "passed": False,
            "data_digest": "feed",
            "rows": 3_400,
            "holder": "7",
            "difference": -0.02,
            "low": -0.03,
            "high": -0.01,
            "log_loss_difference": 0.1,
            "bounds": version["standing"]["bounds"],
            "reasons": ["it was refused", "champion stays"],
        }
        for entry in (version, champion):
            assert (entry["origin"], entry["why"]) == ("generated", "it was refused; champion stays")
        assert champion["standing"] == version["standing"]
        assert graph == {
            "origin": "generated",
            "why": "it was refused; champion stays",
            "standing": {
                "score": 0.8,
                "low": 0.79,
                "high": 0.81,
                "rows": 3_400,
                "dataOrigin": "file",
                "bounds": [{"bound": "recall_gap.High", "answer": "broken", "about": "Gender: Male against Female"}],
            },
        }

    def test_tags_that_somebody_else_has_written_are_no_standing_and_no_decision(self) -> None:
        registry = FakeRegistry(champion="1")
        registry.tags["1"] = {"hearth.standing": '{"score": 1}', "hearth.decision": "passed!", "hearth.origin": "heaven"}
        with running(create_app(service_settings(), registry)) as client:
            [version] = client.get("/models/employees/versions").json()["versions"]

        assert (version["standing"], version["why"], version["origin"]) == (None, "", "unknown")

    def test_a_data_set_before_its_first_training_has_none(self, client: httpx.Client) -> None:
        assert client.get("/models/heart/versions").json() == {"dataset": "heart", "versions": []}

    def test_one_that_is_not_there_is_unknown(self, client: httpx.Client) -> None:
        refused(client.get("/models/heartless/versions"), 404, "unknown_dataset")

    def test_they_are_not_known_while_the_registry_is_away(self) -> None:
        registry = FakeRegistry(champion="1")
        registry.away = True
        with running(create_app(service_settings(), registry)) as client:
            refused(client.get("/models/employees/versions"), 503, "registry_unavailable")

    def test_where_predictions_need_a_key_it_needs_one_too(self) -> None:
        with running(create_app(service_settings(api_require_key=True), FakeRegistry(champion="1"))) as client:
            refused(client.get("/models/employees/versions"), 401, "invalid_key")
            assert client.get("/models/employees/versions", headers=AS_PAGE).status_code == 200


class TestInfo:
    @pytest.mark.parametrize("path", ["/model-info", "/model/info", "/employees/model-info"])
    def test_all_about_a_version_is_told(self, client: httpx.Client, path: str) -> None:
        body = client.get(path, params={"model": "knn"}).json()

        assert (body["name"], body["alias"], body["version"], body["model_version"]) == ("employees", "knn", "1", "1")
        assert (body["run_id"], body["family"], body["status"], body["data_digest"]) == ("run-1", "knn", "READY", "digest")
        assert body["metrics"] == {"macro_f1": 0.81, "accuracy": 0.83}
        assert body["classes"] == ["Low", "Medium", "High"]
        assert body["compiled"] is False

    def test_the_features_say_all_that_a_form_needs_in_the_order_of_the_values(self, client: httpx.Client) -> None:
        features = client.get("/model-info", params={"dataset": "employees"}).json()["features"]

        assert [feature["name"] for feature in features] == list(CONTRACT.feature_names)
        described = {feature["name"]: feature for feature in features}
        assert described["Designation"] | {"description": "", "expected": ""} == {
            "name": "Designation",
            "kind": "integer",
            "description": "",
            "nullable": False,
            "expected": "",
            "unit": "level",
            "minimum": 0,
            "maximum": 5,
            "categories": None,
            "meanings": None,
        }
        assert described["Gender"]["categories"] == ["Female", "Male"]
        assert described["Mental Fatigue Score"]["nullable"] is True

    @pytest.mark.parametrize(
        ("path", "status", "error"),
        [
            ("/model-info?model=best", 404, "unknown_alias"),
            ("/model-info?dataset=heartless", 404, "unknown_dataset"),
            ("/heartless/model-info", 404, "unknown_dataset"),
            ("/model-info?model=svm", 503, "model_unavailable"),
        ],
    )
    def test_what_is_not_there_is_refused(self, client: httpx.Client, path: str, status: int, error: str) -> None:
        refused(client.get(path), status, error)


class TestDatasets:
    def test_each_is_listed_with_links_that_work(self, client: httpx.Client) -> None:
        found = {dataset["name"]: dataset for dataset in client.get("/datasets").json()["datasets"]}

        assert [name for name, dataset in found.items() if dataset["default"]] == ["employees"]
        assert client.get(found["employees"]["links"]["contract"]).json()["name"] == "employees"
        assert client.get(found["employees"]["links"]["model_info"]).status_code == 200

    def test_a_contract_has_every_column_with_its_role(self, client: httpx.Client) -> None:
        body = client.get("/datasets/employees").json()
        roles = {column["name"]: column["role"] for column in body["columns"]}

        assert list(roles) == list(CONTRACT.columns)
        assert (roles["Burn Rate"], roles["Employee ID"], roles["Gender"]) == ("target", "dropped", "feature")
        assert (body["target"], body["classes"], body["class_codes"]) == ("Burn Rate", ["Low", "Medium", "High"], [0, 1, 2])

    def test_the_example_of_every_data_set_keeps_its_contract(self, client: httpx.Client) -> None:
        for dataset in client.get("/datasets").json()["datasets"]:
            example = client.get(dataset["links"]["contract"]).json()["example"]
            answer = client.post(dataset["links"]["predict"], json={"data": [example]})
            assert answer.status_code == 200 or answer.json()["error"] == "model_unavailable"

    def test_one_that_is_not_there_is_unknown(self, client: httpx.Client) -> None:
        assert "employees" in refused(client.get("/datasets/heartless"), 404, "unknown_dataset")
