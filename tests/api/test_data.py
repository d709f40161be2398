"""What REST, GraphQL and the client say of published data, and records to try."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from hearth.client import Client, NotFound
from hearth.contracts import list_contracts
from hearth.contracts.record_parser import RecordParser
from hearth.data.data_report import DataReport, Publication
from hearth.data.profile import CategoryProfile, NumericProfile, Profile
from hearth.errors import RegistryUnavailable
from hearth.serving.published_data import PublishedData
from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.support.models import DATA, FakeRegistry, employees

CONTRACT = employees()
CONTRACTS = {contract.name: contract for contract in list_contracts(DATA)}
WHEN = datetime(2026, 11, 29, 12, tzinfo=UTC)
REPORT = DataReport(
    dataset="employees",
    digest="abc",
    origin="file",
    source="s3://data/employees/raw/staff.csv",
    rows_in=1_000,
    rejected=5,
    reasons={"Gender: not one of 'Female', 'Male'": 5},
    dropped={"duplicate": 95, "no_target": 0},
    duplicate_share=95 / 995,
    train_rows=720,
    test_rows=180,
    compared_with="the data published last (aaa)",
    moved={"Team Size": 0.2},
    warnings=("Team Size: 20% of the rows would have to change",),
    understood=("CSV",),
    profile=Profile(
        "employees",
        "abc",
        720,
        {"Sleep Hours": NumericProfile(700, 0.02, 6.5, 1.0, 3.0, 9.5, (5.0, 6.5, 8.0), (0.2, 0.25, 0.35, 0.2))},
        {"Gender": CategoryProfile(720, 0.0, {"Female": 0.3, "Male": 0.7})},
        {"Low": 0.2, "Medium": 0.6, "High": 0.2},
    ),
)


@pytest.fixture(scope="module")
def registry() -> FakeRegistry:
    registry = FakeRegistry(champion="1")
    registry.published = {"employees_etl": Publication("abc", "run-abc", WHEN, "file")}
    registry.reports = {"abc": REPORT}
    return registry


@pytest.fixture(scope="module")
def client(registry: FakeRegistry) -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), registry)) as client:
        yield client


def test_the_report_of_the_data_published_last_is_answered(client: httpx.Client) -> None:
    body = client.get("/datasets/employees/data").json()

    facts = ("digest", "origin", "rows_in", "rejected", "kept", "train_rows", "test_rows", "run_id", "source")
    expected = ("abc", "file", 1_000, 5, 900, 720, 180, "run-abc", "s3://data/employees/raw/staff.csv")
    assert tuple(body[fact] for fact in facts) == expected
    assert body["published"] == "2026-11-29T12:00:00Z"
    assert (body["dropped"], round(body["duplicate_share"], 4)) == ({"duplicate": 95, "no_target": 0}, 0.0955)
    assert (body["reasons"], body["moved"]) == (REPORT.reasons, {"Team Size": 0.2})
    assert body["classes"] == {"Low": 0.2, "Medium": 0.6, "High": 0.2}
    assert [column["name"] for column in body["columns"]] == ["Gender", "Sleep Hours"]
    assert body["columns"][1]["median"] == body["typical"]["Sleep Hours"] == 6.5
    assert body["typical"]["Gender"] == "Male"
    assert client.post("/predict", json={"data": [body["typical"]]}).status_code == 200


def test_before_the_first_publication_it_is_404_with_what_to_run(client: httpx.Client) -> None:
    assert "heart_etl" in refused(client.get("/datasets/heart/data"), 404, "not_published")
    refused(client.get("/datasets/nothing/data"), 404, "unknown_dataset")
    refused(client.get("/datasets/heart/data?digest=x"), 422, "invalid_request")


def test_while_the_registry_is_away_it_is_503_and_predictions_go_on() -> None:
    registry = FakeRegistry(champion="1")
    with running(create_app(service_settings(), registry)) as client:
        registry.away = True
        refused(client.get("/datasets/employees/data"), 503, "registry_unavailable")
        assert client.get("/datasets/employees/samples").status_code == 200
        assert client.get("/datasets/employees").status_code == 200


def test_graphql_answers_the_same(client: httpx.Client) -> None:
    fields = "{ digest kept duplicateShare moved columns { name median } }"
    query = f'{{ publishedData(dataset: "employees") {fields} nothing: publishedData(dataset: "heart") {{ digest }} }}'
    body = client.post("/graphql", json={"query": query}).json()

    assert "errors" not in body, body
    assert body["data"]["nothing"] is None
    assert body["data"]["publishedData"]["kept"] == 900
    assert body["data"]["publishedData"]["moved"] == {"Team Size": 0.2}
    assert body["data"]["publishedData"]["columns"][1] == {"name": "Sleep Hours", "median": 6.5}


def test_the_client_reads_both(client: httpx.Client) -> None:
    with Client(str(client.base_url)) as hearth:
        assert hearth.data("employees").digest == "abc"
        drawn = hearth.samples("heart", count=3, seed=1)
        assert len(hearth.samples("heart").records) == 1
        with pytest.raises(NotFound, match="heart_etl"):
            hearth.data("heart")
    assert (drawn.source, len(drawn.records)) == ("statistics", 3)


@pytest.mark.parametrize("name", CONTRACTS)
def test_records_to_try_are_of_the_contract_and_differ_from_call_to_call(client: httpx.Client, name: str) -> None:
    first, second = (client.get(f"/datasets/{name}/samples?count=100").json() for _ in range(2))

    assert first["records"] != second["records"]
    assert len(RecordParser(CONTRACTS[name]).parse(first["records"])) == 100
    same = [client.get(f"/datasets/{name}/samples?seed=5").json() for _ in range(2)]
    assert same[0] == same[1]


@pytest.mark.parametrize("query", ["count=0", "count=101", "seed=-1", "seed=4294967296", "cuont=1"])
def test_no_more_records_than_a_hundred_are_drawn(client: httpx.Client, query: str) -> None:
    refused(client.get(f"/datasets/employees/samples?{query}"), 422, "invalid_request")


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_examples_of_the_documentation_are_typical_records(client: httpx.Client, name: str) -> None:
    example = client.get(f"/datasets/{name}").json()["example"]
    document = client.get("/openapi.json").json()

    body = document["paths"][f"/{name}/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]["records"]["value"] == {"data": [example]}
    if name == "employees":
        assert 5 < example["Sleep Hours"] < 8


class TestCache:
    def test_however_many_ask_the_registry_is_asked_once_in_ten_seconds_and_the_report_read_once(self) -> None:
        registry, now = FakeRegistry(champion="1"), [0.0]
        registry.published = {"employees_etl": Publication("abc", "run", WHEN, "file")}
        registry.reports = {"abc": REPORT, "def": replace(REPORT, digest="def")}
        published = PublishedData(registry, {"employees": CONTRACT}, lambda: now[0])

        for _ in range(100):
            assert published.latest("employees")
        assert registry.calls == 2
        now[0] = 11.0
        assert published.latest("employees")
        assert registry.calls == 3
        registry.published = {"employees_etl": Publication("def", "run", WHEN, "file")}
        now[0] = 22.0
        latest = published.latest("employees")
        assert latest is not None
        assert (latest.report.digest, registry.calls) == ("def", 5)
        registry.published = {}
        now[0] = 33.0
        assert published.latest("employees") is None

    def test_while_the_registry_is_away_one_waits_for_it_and_the_others_get_its_error_for_five_seconds(self) -> None:
        registry, now = FakeRegistry(champion="1"), [0.0]
        registry.published = {"employees_etl": Publication("abc", "run", WHEN, "file")}
        registry.reports = {"abc": REPORT}
        published = PublishedData(registry, {"employees": CONTRACT}, lambda: now[0])
        assert published.known("employees") is None
        assert published.latest("employees") == published.known("employees")
        registry.away, now[0] = True, 11.0

        for _ in range(10):
            with pytest.raises(RegistryUnavailable, match="MLflow does not answer"):
                published.latest("employees")
        assert registry.calls == 3
        assert published.known("employees")
        registry.away, now[0] = False, 17.0
        assert published.latest("employees")


def test_without_statistics_records_are_drawn_from_the_published_data(tmp_path: Path) -> None:
    registry = FakeRegistry(champion="1")
    registry.published = {"employees_etl": Publication("abc", "run", WHEN, "file")}
    registry.reports = {"abc": REPORT}
    (tmp_path / "employees").mkdir()
    (tmp_path / "employees" / "contract.yaml").write_bytes((DATA / "employees" / "contract.yaml").read_bytes())
    with running(create_app(service_settings(data_dir=tmp_path), registry)) as client:
        assert client.get("/datasets/employees/samples").json()["source"] == "contract"
        assert client.get("/datasets/employees/data").json()["digest"] == "abc"
        drawn = client.get("/datasets/employees/samples?count=100").json()

    assert drawn["source"] == "published"
    assert {3 <= record["Sleep Hours"] <= 9.5 for record in drawn["records"]} == {True}
    assert len(RecordParser(CONTRACT).parse(drawn["records"])) == 100
