"""How the service is deployed: behind proxies, under a path, for browsers of other origins, and for clients that only ask for headers."""

from collections.abc import Iterator

import httpx
import pytest

from hearth.errors import InvalidSettings
from hearth_api.app import create_app
from tests.api.running import AS_PAGE, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

GOOD = {"data": [good_record(employees(), Designation=4)]}
ORIGIN = "https://shop.example.org"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, x-api-key",
}


@pytest.fixture(scope="module")
def plain() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), FakeRegistry(knn="1", champion="2"), checks={})) as client:
        yield client


class TestHead:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/health",
            "/ready",
            "/datasets/heart",
            "/models",
            "/model-info",
            "/model-info?model=nobody",
            "/docs",
            "/openapi.json",
            "/graphql",
            "/graphql/page/graphiql.min.css",
            "/static-offline-docs/swagger-ui.css",
            "/predict",
            "/nowhere",
            "/health?x=1",
        ],
    )
    def test_head_is_get_without_a_body(self, plain: httpx.Client, path: str) -> None:
        head, get = plain.head(path), plain.get(path)

        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "content-length", "allow"):
            assert head.headers.get(name) == get.headers.get(name), name
        assert head.headers["x-request-id"]

    def test_it_is_counted_as_head(self, plain: httpx.Client) -> None:
        plain.head("/datasets")

        assert 'hearth_http_requests_total{method="HEAD",route="/datasets",status="200"}' in plain.get("/metrics").text


@pytest.fixture(scope="module")
def cors() -> Iterator[httpx.Client]:
    settings = service_settings(api_cors_origins=f"{ORIGIN}, http://localhost:3000", api_require_key=True)
    with running(create_app(settings, FakeRegistry(champion="2"))) as client:
        yield client


class TestCors:
    def test_a_preflight_passes_without_a_key(self, cors: httpx.Client) -> None:
        answer = cors.options("/predict", headers=PREFLIGHT)

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "x-api-key" in answer.headers["access-control-allow-headers"].lower()

    def test_a_page_of_the_origin_may_read_answers_and_errors(self, cors: httpx.Client) -> None:
        scored = cors.post("/predict", json=GOOD, headers={"Origin": ORIGIN, **AS_PAGE})
        closed = cors.post("/predict", json=GOOD, headers={"Origin": ORIGIN})

        assert scored.json()["version"] == "2"
        refused(closed, 401, "invalid_key")
        for answer in (scored, closed):
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]

    def test_a_page_of_another_origin_may_not(self, cors: httpx.Client) -> None:
        headers = {**PREFLIGHT, "Origin": "https://evil.example.org"}

        assert cors.options("/predict", headers=headers).status_code == 400
        assert "access-control-allow-origin" not in cors.post("/predict", json=GOOD, headers={**headers, **AS_PAGE}).headers

    def test_it_is_off_by_default(self) -> None:
        with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client:
            assert client.options("/predict", headers=PREFLIGHT).status_code == 405
            assert "access-control-allow-origin" not in client.post("/predict", json=GOOD, headers={"Origin": ORIGIN}).headers


class TestTrustedProxies:
    def test_callers_behind_a_trusted_proxy_have_limits_of_their_own(self) -> None:
        settings = service_settings(api_rate_limit="2/year", api_trusted_proxies="127.0.0.1 10.0.0.0/8")
        with running(create_app(settings, FakeRegistry(champion="2"))) as client:
            for _ in range(2):
                assert client.post("/predict", json=GOOD, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 200
            refused(client.post("/predict", json=GOOD, headers={"X-Forwarded-For": "192.0.2.1"}), 429, "too_many_requests")
            assert client.post("/predict", json=GOOD, headers={"X-Forwarded-For": "192.0.2.2"}).status_code == 200
            forged = "203.0.113.9, 192.0.2.1, 10.1.2.3"  # the caller wrote the first, our proxies the others
            refused(client.post("/predict", json=GOOD, headers={"X-Forwarded-For": forged}), 429, "too_many_requests")

    def test_the_header_of_anybody_else_is_not_believed(self) -> None:
        for proxies in ("", "192.0.2.0/24"):
            settings = service_settings(api_rate_limit="2/year", api_trusted_proxies=proxies)
            with running(create_app(settings, FakeRegistry(champion="2"))) as client:
                for number in range(2):
                    assert client.post("/predict", json=GOOD, headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code == 200
                refused(client.post("/predict", json=GOOD, headers={"X-Forwarded-For": "192.0.2.9"}), 429, "too_many_requests")


@pytest.fixture(scope="module")
def hosts() -> Iterator[httpx.Client]:
    settings = service_settings(api_allowed_hosts="api.example.org *.example.net", api_require_key=True)
    with running(create_app(settings, FakeRegistry(champion="2"))) as client:
        yield client


class TestAllowedHosts:
    @pytest.mark.parametrize("host", ["api.example.org", "API.example.org:8800", "a.example.net"])
    def test_a_listed_host_is_answered(self, hosts: httpx.Client, host: str) -> None:
        assert hosts.get("/models", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host", ["evil.example.com", "example.net", "api.example.org.evil.com", "", "127.0.0.1.evil.com", "api.example.org@evil", "fastapi"]
    )
    def test_another_is_refused_before_its_key_is_looked_at(self, hosts: httpx.Client, host: str) -> None:
        answer = hosts.post("/predict", json=GOOD, headers={"Host": host})

        assert "HEARTH_API_ALLOWED_HOSTS" in refused(answer, 403, "forbidden_host")
        assert answer.headers["x-request-id"]

    @pytest.mark.parametrize("host", ["127.0.0.1:8800", "[::1]:8800", "localhost:8800", "10.1.2.3", "[fd00::1]:8800"])
    def test_an_address_and_this_machine_are_always_answered(self, hosts: httpx.Client, host: str) -> None:
        """No page of another site comes by an address, but probes, Prometheus and people of the network do."""
        assert hosts.get("/metrics", headers={"Host": host}).status_code == 200

    def test_without_a_setting_no_page_reaches_stored_predictions_under_a_name_of_its_own(self) -> None:
        with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client:
            refused(client.get("/predictions", headers={"Host": "evil.example.com"}), 403, "forbidden_host")
            assert client.post("/predict", json=GOOD).status_code == 200

    def test_a_star_answers_every_name(self) -> None:
        with running(create_app(service_settings(api_allowed_hosts="*"), FakeRegistry(champion="2"))) as client:
            assert client.post("/predict", json=GOOD, headers={"Host": "anything.example.com"}).status_code == 200

    def test_health_is_for_everybody(self, hosts: httpx.Client) -> None:
        assert hosts.get("/health", headers={"Host": "probe.internal:8800"}).status_code == 200


@pytest.fixture(scope="module")
def rooted() -> Iterator[httpx.Client]:
    settings = service_settings(api_root_path="/hearth", api_require_key=True)
    with running(create_app(settings, FakeRegistry(champion="2"), checks={})) as client:
        yield client


class TestRootPath:
    @pytest.mark.parametrize("prefix", ["", "/hearth"], ids=["removed by the proxy", "kept by the proxy"])
    def test_routes_answer_whether_or_not_the_proxy_removes_it(self, rooted: httpx.Client, prefix: str) -> None:
        assert rooted.get(f"{prefix}/health").json() == {"status": "ok"}
        assert rooted.post(f"{prefix}/predict", json=GOOD, headers=AS_PAGE).json()["version"] == "2"
        refused(rooted.post(f"{prefix}/predict", json=GOOD), 401, "invalid_key")
        refused(rooted.get(f"{prefix}/nowhere", headers=AS_PAGE), 404, "not_found")

    def test_links_start_with_it(self, rooted: httpx.Client) -> None:
        links = rooted.get("/").json()["links"] | rooted.get("/datasets/heart").json()["links"]

        assert all(link.startswith("/hearth/") for link in links.values())
        assert rooted.get(links["contract"]).json()["name"] == "heart"
        assert rooted.get("/openapi.json").json()["servers"] == [{"url": "/hearth"}]
        assert "/hearth/openapi.json" in rooted.get("/docs").text
        assert "/hearth/static-offline-docs/" in rooted.get("/docs").text


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("api_trusted_proxies", "proxy.example.org"),
        ("api_trusted_proxies", "10.0.0.1/8"),
        ("api_cors_origins", "shop.example.org"),
        ("api_cors_origins", "https://shop.example.org/"),
        ("api_allowed_hosts", "https://api.example.org"),
        ("api_allowed_hosts", "api.example.org:8800"),
        ("api_root_path", "hearth"),
        ("api_root_path", "/hearth/"),
    ],
)
def test_a_setting_that_could_never_match_is_refused(setting: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"HEARTH_{setting.upper()}"):
        service_settings(**{setting: value})
