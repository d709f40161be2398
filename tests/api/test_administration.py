"""Administration, keys and limits as clients see them."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from hearth.errors import InvalidSettings
from hearth.serving.access import Access
from hearth_api.app import create_app
from hearth_api.middleware.api_keys import Guard
from tests.api.running import ADMIN_KEY, AS_ADMIN, AS_PAGE, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

GOOD = {"data": [good_record(employees(), Designation=4)]}
ADMINISTRATION = ["/model/reload", "/reload-cache", "/models/employees/rollback", "/models/employees/promote"]


@pytest.fixture(scope="module")
def registry() -> FakeRegistry:
    shelf = FakeRegistry()
    shelf.tags |= {number: {"hearth.gate": "passed"} for number in "123"}
    return shelf


@pytest.fixture(scope="module")
def service(registry: FakeRegistry) -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), registry)) as client:
        yield client


@pytest.fixture
def shelf(registry: FakeRegistry) -> FakeRegistry:
    """The registry of the service that all tests here share, as each test finds it."""
    registry.carried.clear()
    registry.carried.update(champion="2", previous="1")
    return registry


@pytest.fixture
def client(service: httpx.Client, shelf: FakeRegistry) -> httpx.Client:
    assert shelf.carried
    assert service.post("/model/reload", headers=AS_ADMIN).status_code == 200
    return service


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(api_require_key=True), FakeRegistry(champion="2"))) as client:
        yield client


def champion(client: httpx.Client) -> str:
    return str(client.post("/predict", json=GOOD).json()["version"])


class TestKeys:
    @pytest.mark.parametrize("path", ADMINISTRATION)
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-API-Key": ""},
            {"X-API-Key": "nobody-has-this-secret"},
            {"Authorization": "Bearer x"},
            {"Authorization": f"Basic {ADMIN_KEY}"},
        ],
    )
    def test_without_a_key_or_with_a_wrong_one_nothing_is_administrated(
        self, client: httpx.Client, shelf: FakeRegistry, path: str, headers: dict[str, str]
    ) -> None:
        answer = client.post(path, headers=headers, json={"version": "3"})

        refused(answer, 401, "invalid_key")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert shelf.carried == {"champion": "2", "previous": "1"}

    @pytest.mark.parametrize("path", ADMINISTRATION)
    def test_a_key_without_the_scope_is_forbidden(self, client: httpx.Client, path: str) -> None:
        assert "'page' does not have the scope 'admin'" in refused(
            client.post(path, headers=AS_PAGE, json={"version": "3"}), 403, "missing_scope"
        )

    def test_a_key_may_come_as_a_bearer_token(self, client: httpx.Client) -> None:
        assert client.post("/model/reload", headers={"Authorization": f"bearer {ADMIN_KEY}"}).status_code == 200

    def test_guessing_ends_with_too_many_requests_and_locks_out_no_right_key(self, shelf: FakeRegistry) -> None:
        with running(create_app(service_settings(api_failed_keys_limit="3/year"), shelf)) as client:
            for number in range(3):
                refused(client.post("/model/reload", headers={"X-API-Key": f"guess-{number}"}), 401, "invalid_key")
            for number in range(3, 60):
                answer = client.post("/model/reload", headers={"X-API-Key": f"guess-{number}"})
                assert "3 refused keys" in refused(answer, 429, "too_many_requests")
                assert int(answer.headers["retry-after"]) >= 1
            assert client.post("/model/reload", headers=AS_ADMIN).status_code == 200
            assert client.post("/predict", json=GOOD).status_code == 200, "predictions need no key here"

    def test_the_documentation_has_a_button_for_keys_and_only_administration_asks_for_one(self, client: httpx.Client) -> None:
        schema = client.get("/openapi.json").json()
        assert set(schema["components"]["securitySchemes"]) == {"ApiKey", "Bearer"}
        assert "security" not in schema
        assert schema["paths"]["/models/{dataset}/promote"]["post"]["security"]
        assert "security" not in schema["paths"]["/predict"]["post"]

    def test_a_key_that_can_be_guessed_stops_the_start(self) -> None:
        with pytest.raises(InvalidSettings, match="HEARTH_API_ADMIN_KEY: the secret has less than 16 characters"):
            create_app(service_settings(api_admin_key="admin"), FakeRegistry())

    def test_production_refuses_the_laptops_key(self) -> None:
        with pytest.raises(InvalidSettings, match=r"laptop value .*: HEARTH_API_ADMIN_KEY, HEARTH_API_KEYS"):
            service_settings(
                environment="production",
                s3_secret_key="strong",
                api_admin_key="changethis-admin-key",
                api_keys="page:predict:changethis-page-key",
            )


class TestGuardedPredictions:
    def test_every_route_needs_a_key_but_those_that_say_how_the_service_is_and_administration(self, guarded: httpx.Client) -> None:
        paths = guarded.get("/openapi.json").json()["paths"]
        open_paths = set()
        for path, methods in paths.items():
            for method in methods:
                answer = guarded.request(method, path.replace("{dataset}", "employees"))
                if answer.status_code != 401:
                    open_paths.add(path)
        told = {"/", "/health", "/ready", "/metrics", "/models", "/list-models", "/model-info", "/model/info"}
        told |= {
            "/datasets",
            "/datasets/{name}",
            "/{dataset}/model-info",
            "/ping",
            "/version",
            "/v2",
            "/v2/health/live",
            "/v2/health/ready",
        }
        told |= {f"/v2/models/{{dataset}}{version}{ready}" for version in ("", "/versions/{version}") for ready in ("", "/ready")}
        assert open_paths <= told
        assert {"/", "/health", "/models"} <= open_paths

    @pytest.mark.parametrize("headers", [AS_ADMIN, AS_PAGE])
    def test_a_key_with_the_scope_opens_them(self, guarded: httpx.Client, headers: dict[str, str]) -> None:
        assert guarded.post("/predict", json=GOOD, headers=headers).json()["version"] == "2"

    @pytest.mark.parametrize("path", ["/predict", "/employees/predict", "/predict_stream", "/predictions", "/nothing", "/models/employees"])
    def test_what_is_not_known_to_be_open_is_closed(self, guarded: httpx.Client, path: str) -> None:
        answer = guarded.post(path, json=GOOD)
        refused(answer, 401, "invalid_key")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]

    def test_a_key_for_administration_alone_is_forbidden(self) -> None:
        with running(
            create_app(service_settings(api_require_key=True, api_keys=f"ops:admin:{'s' * 20}"), FakeRegistry(champion="2"))
        ) as client:
            headers = {"X-API-Key": "s" * 20}
            refused(client.post("/predict", json=GOOD, headers=headers), 403, "missing_scope")
            assert client.post("/model/reload", headers=headers).status_code == 200

    def test_the_documentation_says_that_all_of_it_wants_a_key(self, guarded: httpx.Client) -> None:
        assert guarded.get("/docs").status_code == 200
        document = guarded.get("/openapi.json").json()
        assert document["security"] == [{"ApiKey": []}, {"Bearer": []}]
        assert document["paths"]["/health"]["get"]["security"] == []
        assert "security" not in document["paths"]["/predict"]["post"]


class TestRateLimit:
    def test_too_many_requests_are_answered_with_when_to_try_again(self) -> None:
        with running(create_app(service_settings(api_rate_limit="3/year"), FakeRegistry(champion="2"))) as client:
            for _ in range(3):
                assert client.post("/predict", json=GOOD).status_code == 200
            answer = client.post("/predict", json=GOOD)
            assert "3 requests in" in refused(answer, 429, "too_many_requests")
            assert int(answer.headers["retry-after"]) >= 1
            assert client.get("/health").status_code == 200
            assert client.post("/predict", json=GOOD, headers=AS_PAGE).status_code == 200, "a key has a count of its own"
            assert client.post("/model/reload", headers=AS_ADMIN).status_code == 200

    def test_a_limit_that_cannot_be_read_stops_the_start(self) -> None:
        with pytest.raises(InvalidSettings, match="'often' is no limit of requests"):
            create_app(service_settings(api_rate_limit="often"), FakeRegistry())


class TestMoves:
    def test_a_reload_follows_the_registry_at_once(self, client: httpx.Client, shelf: FakeRegistry) -> None:
        assert champion(client) == "2"
        shelf.carried["champion"] = "3"
        body = client.post("/model/reload", headers=AS_ADMIN).json()
        assert {entry["alias"]: entry["version"] for entry in body["aliases"] if entry["dataset"] == "employees"}["champion"] == "3"
        assert body["problem"] == ""
        assert champion(client) == "3"

    def test_a_rollback_serves_the_champion_before_when_it_is_answered(self, client: httpx.Client, shelf: FakeRegistry) -> None:
        body = client.post("/models/employees/rollback", headers=AS_ADMIN).json()
        assert body == {
            "dataset": "employees",
            "alias": "champion",
            "version": "1",
            "family": "knn",
            "gate": "passed",
            "moved": True,
            "before": {"champion": "2", "previous": "1"},
            "after": {"champion": "1", "previous": "2"},
            "serving": "1",
            "by": "admin",
        }
        assert champion(client) == "1"
        assert shelf.carried == {"champion": "1", "previous": "2"}

    def test_a_rollback_to_nothing_is_a_conflict(self, client: httpx.Client, shelf: FakeRegistry) -> None:
        del shelf.carried["previous"]
        assert "has no previous champion" in refused(client.post("/models/employees/rollback", headers=AS_ADMIN), 409, "alias_not_moved")

    def test_a_version_is_promoted_by_number_or_by_alias(self, client: httpx.Client, shelf: FakeRegistry) -> None:
        assert client.post("/models/employees/promote", headers=AS_ADMIN, json={"version": "3"}).json()["serving"] == "3"
        assert shelf.carried == {"champion": "3", "previous": "2"}
        body = client.post("/models/employees/promote", headers=AS_ADMIN, json={"from": "previous"}).json()
        assert (body["serving"], body["after"]) == ("2", {"champion": "2", "previous": "3"})

    def test_what_is_so_already_is_not_moved(self, client: httpx.Client) -> None:
        assert client.post("/models/employees/promote", headers=AS_ADMIN, json={"version": "2"}).json()["moved"] is False

    def test_over_the_gate_goes_only_who_says_so(self, client: httpx.Client, shelf: FakeRegistry) -> None:
        detail = refused(client.post("/models/employees/promote", headers=AS_ADMIN, json={"version": "7"}), 409, "alias_not_moved")
        assert "over_gate" in detail
        assert (
            client.post("/models/employees/promote", headers=AS_ADMIN, json={"version": "7", "over_gate": True}).json()["gate"]
            == "not judged"
        )
        assert shelf.carried["champion"] == "7"

    @pytest.mark.parametrize(
        "body",
        [
            None,
            {},
            [],
            {"version": "3", "from": "previous"},
            {"version": 3},
            {"version": "x"},
            {"version": "3", "force": True},
            {"from": ""},
        ],
    )
    def test_a_body_that_names_no_one_version_is_refused(self, client: httpx.Client, shelf: FakeRegistry, body: object) -> None:
        answer = client.post("/models/employees/promote", headers=AS_ADMIN, json=body)
        assert (answer.status_code, answer.json()["error"]) in {(422, "invalid_request"), (404, "unknown_alias")}
        assert shelf.carried["champion"] == "2"

    @pytest.mark.parametrize("move", ["rollback", "promote"])
    def test_another_data_set_is_not_found(self, client: httpx.Client, move: str) -> None:
        refused(client.post(f"/models/planets/{move}", headers=AS_ADMIN, json={"version": "3"}), 404, "unknown_dataset")

    def test_an_unknown_alias_is_not_found(self, client: httpx.Client) -> None:
        refused(client.post("/models/employees/promote", headers=AS_ADMIN, json={"from": "best"}), 404, "unknown_alias")
        refused(client.post("/models/employees/promote", headers=AS_ADMIN, json={"from": "challenger"}), 404, "unknown_version")


class TestGuardedWebSockets:
    """Subscriptions come over WebSockets, whose handshake carries the key."""

    def test_one_without_a_key_is_closed_before_anything_answers(self) -> None:
        assert handshake([]) == [{"type": "websocket.close", "code": 1008, "reason": "invalid_key"}]

    def test_one_with_a_key_passes(self) -> None:
        assert handshake([(b"x-api-key", ADMIN_KEY.encode())]) == [{"type": "websocket.accept"}]


def handshake(headers: list[tuple[bytes, bytes]]) -> list[Message]:
    sent: list[Message] = []

    async def accepting(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    guard = Guard(accepting, Access.from_settings(service_settings(api_require_key=True)))
    scope = {"type": "websocket", "path": "/graphql", "headers": headers, "client": ("192.0.2.1", 5000)}
    asyncio.run(guard(scope, receive, send))
    return sent


def test_slow_lists_of_versions_do_not_delay_a_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = FakeRegistry(champion="2", previous="1")
    shelf.tags |= {number: {"hearth.gate": "passed"} for number in "12"}
    go_on = threading.Event()
    original = FakeRegistry.versions

    def wait(self: FakeRegistry, dataset: str) -> Any:
        assert go_on.wait(60)
        return original(self, dataset)

    monkeypatch.setattr(FakeRegistry, "versions", wait)
    with running(create_app(service_settings(), shelf)) as client, ThreadPoolExecutor(20) as threads:
        lists = [threads.submit(client.get, "/models/employees/versions") for _ in range(20)]
        try:
            moved = client.post("/models/employees/rollback", headers=AS_ADMIN)
            assert moved.json()["version"] == "1"
            assert not any(made.done() for made in lists)
        finally:
            go_on.set()
        assert {made.result().status_code for made in lists} == {200}
