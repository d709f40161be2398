"""Model cards over REST, the client and the command line."""

import json
import threading
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from hearth.cards import CONTENT_SECURITY_POLICY
from hearth.client import Client, NotFound
from hearth.modelling.comparison import Interval
from hearth.modelling.gate import Decision
from hearth.modelling.standing import Standing
from hearth_api.app import create_app
from tests.api.running import AS_PAGE, PAGE_KEY, READER_KEY, SCORER_KEY, refused, running, service_settings
from tests.support.cards import PNG, small_card
from tests.support.command_line import run_command
from tests.support.models import FakeRegistry

ATTACK = '"><script>alert(1)</script>'


def forged(**parts: object) -> bytes:
    return json.dumps(json.loads(small_card().to_json()) | parts).encode()


@pytest.fixture(scope="module")
def registry() -> FakeRegistry:
    shelf = FakeRegistry(champion="2", previous="1")
    files = {"card.json": small_card(ATTACK).to_json(), "figures/groups.png": PNG, "card.html": b"<script>forged</script>"}
    decision = Decision("employees", "knn", "2", passed=True, score=0.8, champion="2", reasons=("it was better",))
    standing = Standing("feed0123456789ab", "file", 3_400, "macro_f1", Interval(0.81, 0.8, 0.82))
    shelf.files = {
        "2": files,
        "3": {},
        "4": {"card.json": b"{}"},
        "5": {"card.json": small_card(family="svm").to_json()},
        "7": {"card.json": forged(confusion=[[1]])},
        "8": {"card.json": forged(confusion=[[1, 2], [3, 10**4000]])},
        "9": {"card.json": forged(classes=["a", "b"])},
        "6": {"card.json": b" " * 5_000_000 + small_card().to_json()},
    }
    shelf.tags = {number: {} for number in shelf.files} | {
        "2": {
            "hearth.gate": "passed",
            "hearth.decision": decision.to_json().decode(),
            "hearth.standing": standing.to_json().decode(),
            "hearth.approved_by": "Ada",
            "hearth.approval": "refused",
        }
    }
    return shelf


@pytest.fixture(scope="module")
def client(registry: FakeRegistry) -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), registry)) as client:
        yield client


@pytest.mark.parametrize("version", ["2", "champion"])
def test_a_card_in_json_has_what_the_training_wrote_and_what_the_registry_says_now(client: httpx.Client, version: str) -> None:
    answer = client.get(f"/models/employees/{version}/card", params={"format": "json"})

    card = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert {"data", "features", "metrics", "groups", "calibration", "importances", "slices", "approval", "libraries"} <= card.keys()
    assert (card["version"], card["aliases"], card["gate"], card["approval"]) == ("2", ["champion"], "passed", "refused by Ada")
    assert card["decision"]["reasons"] == ["it was better"]
    assert card["standing"]["score"]["figure"] == 0.81
    assert card["title"] == ATTACK


def test_the_page_is_written_from_the_figures_and_never_what_lies_in_mlflow(client: httpx.Client) -> None:
    answer = client.get("/models/employees/champion/card")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    tags: set[str] = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: tags.add(tag)  # type: ignore[assignment,method-assign]
    parser.feed(answer.text)
    assert "script" not in tags
    assert "img" in tags
    assert "forged" not in answer.text
    assert "refused by Ada" in answer.text


def test_markdown_has_no_html_either(client: httpx.Client) -> None:
    answer = client.get("/models/employees/2/card?format=markdown")

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# Model card: employees, knn, version 2\n")
    assert "<" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "error", "text"),
    [
        ("/models/employees/3/card", 404, "no_card", "Versions of new trainings have one"),
        ("/models/employees/4/card", 404, "no_card", "is not its card"),
        ("/models/employees/5/card", 404, "no_card", "is not its card"),
        ("/models/employees/6/card", 404, "no_card", "has no card"),
        ("/models/employees/previous/card", 404, "no_card", "has no card"),
        ("/models/employees/lightgbm/card", 404, "unknown_version", "No version of 'employees' carries the alias 'lightgbm'"),
        ("/models/employees/tarot/card", 404, "unknown_alias", "can have: "),
        ("/models/employees/²/card", 404, "unknown_alias", "can have: "),
        ("/models/nothing/2/card", 404, "unknown_dataset", "There is no data set 'nothing'"),
        ("/models/employees/2/card?format=pdf", 422, "invalid_request", "format"),
        ("/models/employees/2/card?form=html", 422, "invalid_request", "form"),
    ],
)
def test_what_is_not_there_is_said(client: httpx.Client, path: str, status: int, error: str, text: str) -> None:
    assert text in refused(client.get(path), status, error)


@pytest.mark.parametrize("form", ["html", "markdown", "json"])
@pytest.mark.parametrize("version", ["7", "8", "9"])
def test_a_forged_card_is_no_card(client: httpx.Client, version: str, form: str) -> None:
    assert "is not its card" in refused(client.get(f"/models/employees/{version}/card?format={form}"), 404, "no_card")


@pytest.mark.parametrize("error", [OverflowError, ZeroDivisionError, KeyError, ValueError])
def test_a_card_that_cannot_be_written_is_no_card(client: httpx.Client, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(_: object) -> str:
        raise error

    monkeypatch.setattr("hearth.serving.model_cards.to_markdown", fail)

    refused(client.get("/models/employees/2/card?format=markdown"), 404, "no_card")


def test_while_the_registry_is_away_the_answer_is_503() -> None:
    away = FakeRegistry(champion="2")
    with running(create_app(service_settings(), away)) as client:
        away.away = True

        answer = client.get("/models/employees/2/card")

    assert refused(answer, 503, "registry_unavailable") == "MLflow does not answer."
    assert int(answer.headers["retry-after"]) > 0


def test_a_registry_that_hangs_holds_up_no_prediction(registry: FakeRegistry) -> None:
    asked, answered = threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        assert answered.wait(60)

    slow = FakeRegistry(champion="2")
    slow.files, slow.while_reading = registry.files, hang
    with running(create_app(service_settings(), slow)) as client:
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.get("/models/employees/2/card", timeout=60).status_code))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        assert asked.wait(30)

        assert [client.get(path).status_code for path in ("/health", "/models", "/model-info")] == [200] * 3

        answered.set()
        for thread in threads:
            thread.join()
    assert answers == [200] * 6


def test_a_card_needs_the_key_that_lists_of_versions_need(registry: FakeRegistry) -> None:
    with running(create_app(service_settings(api_require_key=True), registry)) as client:
        statuses = {
            path: [
                client.get(path, headers=headers).status_code
                for headers in ({}, {"X-API-Key": READER_KEY}, {"X-API-Key": SCORER_KEY}, AS_PAGE)
            ]
            for path in ("/models/employees/versions", "/models/employees/2/card")
        }

    assert statuses["/models/employees/2/card"] == statuses["/models/employees/versions"] == [401, 403, 200, 200]


def test_a_served_version_names_its_card(client: httpx.Client) -> None:
    path = client.get("/model-info").json()["card"]
    [graph] = client.post("/graphql", json={"query": "{ modelInfo { card } }"}).json()["data"].values()

    assert path == graph["card"] == "/models/employees/2/card"
    assert client.get(path).status_code == 200


def test_the_client_and_the_command_read_it(registry: FakeRegistry, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    with running(create_app(service_settings(api_require_key=True), registry)) as service:
        url = str(service.base_url)
        with Client(url, api_key=PAGE_KEY) as caller:
            as_json, page = caller.card("employees", format="json"), caller.card("employees", "2", format="html")
            with pytest.raises(NotFound, match="has no card"):
                caller.card("employees", "3")
        environment = {"HEARTH_API_URL": url, "HEARTH_API_KEY": PAGE_KEY}
        shown = run_command("card", "employees", folder=folder, **environment)
        written = run_command("card", "employees", "2", "--format", "json", "--output", "card.json", folder=folder, **environment)
        missing = run_command("card", "employees", "3", folder=folder, **environment)

    assert json.loads(as_json)["version"] == "2"
    assert page.startswith("<!doctype html>")
    assert (shown.code, shown.output.splitlines()[0]) == (0, "# Model card: employees, knn, version 2")
    assert (written.code, json.loads((folder / "card.json").read_text("utf-8"))) == (0, json.loads(as_json))
    assert (missing.code, "no_card" in missing.errors) == (1, True)
