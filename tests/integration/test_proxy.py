"""The proxy of Compose as it is configured, in a real Caddy: TLS in front of a real REST service and a real gRPC server."""

import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from deploy.embedded.temporary_servers import ROOT, free_ports
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.grpc.service import Shelf, fitted, serving
from tests.support.models import FakeRegistry, employees, good_record
from tests.support.waiting import wait_until

CONFIGURATION = ("--config", ROOT / "dockerfiles/caddy/Caddyfile", "--adapter", "caddyfile")
CADDY = ROOT / ".venvs/serve/bin/caddy"
DOMAIN, USER, PASSWORD = "hearth.example", "operator", "secret-of-the-page"
GOOD = {"data": [good_record(employees(), Designation=4)]}


@dataclass(frozen=True)
class Proxy:
    port: int
    authority: Path

    def client(self, name: str, login: tuple[str, str] | None = None) -> httpx.Client:
        """Return a client of one of its names; no name server knows them."""

        def set_name(request: httpx.Request) -> None:
            request.headers["host"] = f"{name}.{DOMAIN}"
            request.extensions["sni_hostname"] = f"{name}.{DOMAIN}"

        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            verify=ssl.create_default_context(cafile=self.authority),
            event_hooks={"request": [set_name]},
            auth=login,
            timeout=30,
            trust_env=False,
        )


def run_caddy(command: str, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    program = [str(CADDY), command, *map(str, arguments)]
    return subprocess.run(program, env={**os.environ, **settings}, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def password_hash() -> str:
    return run_caddy("hash-password", "--plaintext", PASSWORD).stdout.strip()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, password_hash: str) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("caddy")
    http, https = free_ports(2)
    options = service_settings(api_allowed_hosts=f"api.{DOMAIN}", api_trusted_proxies="127.0.0.1", api_rate_limit="2/year")
    with (
        running(create_app(options, FakeRegistry(champion="2"))) as rest,
        serving(Shelf({"champion": "1"}, {"1": fitted()})) as rpc,
    ):
        upstream = rest.base_url.netloc.decode()
        settings = {
            "HEARTH_PROXY_DOMAIN": DOMAIN,
            "HEARTH_PROXY_OPTIONS": "local_certs\nskip_install_trust\ndefault_bind 127.0.0.1",
            "HEARTH_PROXY_HTTP_PORT": str(http),
            "HEARTH_PROXY_HTTPS_PORT": str(https),
            "HEARTH_PROXY_USER": USER,
            "HEARTH_PROXY_PASSWORD_HASH": password_hash,
            "HEARTH_PROXY_API": upstream,
            "HEARTH_PROXY_GRPC": rpc.address,
            "HEARTH_PROXY_PAGE": upstream,  # whatever answers: only the login in front of it is tested
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        }
        authority = folder / "caddy/pki/authorities/local/root.crt"
        with (folder / "log").open("wb") as log:
            command = [str(CADDY), "run", *map(str, CONFIGURATION)]
            process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            found = Proxy(https, authority)
            wait_until(lambda: process.poll() is not None or (authority.exists() and answers(found)))
            assert process.poll() is None, (folder / "log").read_text("utf-8")
            yield found
        finally:
            process.terminate()
            process.wait()


def answers(proxy: Proxy) -> bool:
    try:
        with proxy.client("api") as client:
            return client.get("/health").is_success
    except (httpx.HTTPError, ssl.SSLError):
        return False


def test_rest_is_reached_by_tls_and_its_limits_see_the_caller_and_not_the_proxy(proxy: Proxy) -> None:
    with proxy.client("api") as client:
        for _ in range(2):
            answer = client.post("/predict", json=GOOD)
            assert (answer.status_code, answer.json()["version"]) == (200, "2")
            assert "max-age" in answer.headers["strict-transport-security"]
        refused(client.post("/predict", json=GOOD), 429, "too_many_requests")
        refused(client.post("/predict", json=GOOD, headers={"X-Forwarded-For": "192.0.2.7"}), 429, "too_many_requests")


def test_grpc_is_reached_by_tls(proxy: Proxy) -> None:
    credentials = grpc.ssl_channel_credentials(proxy.authority.read_bytes())
    name = f"grpc.{DOMAIN}"
    options = [("grpc.ssl_target_name_override", name), ("grpc.default_authority", name), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"127.0.0.1:{proxy.port}", credentials, options=options) as channel:
        [dataset] = PredictionStub(channel).ListModels(pb.ListModelsRequest(), timeout=20).datasets

    assert dataset.name == "employees"


@pytest.mark.parametrize("login", [None, (USER, "wrong"), ("nobody", PASSWORD)])
def test_the_page_asks_for_a_login(proxy: Proxy, login: tuple[str, str] | None) -> None:
    with proxy.client("page", login=login) as client:
        answer = client.get("/health")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_the_page_opens_with_its_login(proxy: Proxy) -> None:
    with proxy.client("page", login=(USER, PASSWORD)) as client:
        assert client.get("/health").is_success


@pytest.mark.parametrize("name", ["mlflow", "airflow", "minio", "evil"])
def test_nothing_else_is_published(proxy: Proxy, name: str) -> None:
    with proxy.client(name) as client, pytest.raises(httpx.ConnectError):
        client.get("/")


def test_without_a_login_for_the_page_the_proxy_does_not_start(tmp_path: Path) -> None:
    settings = {"HEARTH_PROXY_DOMAIN": DOMAIN, "HEARTH_PROXY_USER": USER, "HEARTH_PROXY_PASSWORD_HASH": "", "XDG_DATA_HOME": str(tmp_path)}

    done = run_caddy("validate", *CONFIGURATION, **settings)

    assert done.returncode != 0
    assert "basic_auth" in done.stderr
