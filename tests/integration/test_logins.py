"""Servers with a login: Valkey with a password and MLflow with a user, and that every process of Hearth gets in with its settings alone."""

import asyncio
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from deploy import health
from deploy.embedded import health as server_health
from deploy.embedded import temporary_servers
from hearth.errors import RegistryError, StreamUnavailable
from hearth.registry import Registry
from hearth.serving.access.rates import RateLimit
from hearth.settings import RegistrySettings
from hearth.streaming.client import StreamWriter
from streamlit_app.health_checks import picture
from streamlit_app.service import ServiceError

PASSWORDS = ("correct-horse-battery", 'with "quotes" \\ and % # @ / : signs', "mit-Ümlaut-und-mehr")


class TestValkey:
    @pytest.fixture(params=PASSWORDS)
    def password(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def url(self, password: str) -> Iterator[str]:
        with temporary_servers.valkey_server(password) as server:
            yield server.url

    def test_it_answers_those_with_the_password_and_nobody_else(self, url: str, password: str) -> None:
        port = int(url.rpartition(":")[2].partition("/")[0])
        with StreamWriter(url, "stream", 10) as stream:
            stream.ping()
        assert server_health.valkey_answers(port, password)
        assert not server_health.valkey_answers(port)
        assert not server_health.valkey_answers(port, "wrong")
        with pytest.raises(StreamUnavailable) as caught, StreamWriter(f"redis://127.0.0.1:{port}/0", "stream", 10) as stranger:
            stranger.ping()
        assert password not in str(caught.value)
        with pytest.raises(AuthenticationError), Redis(port=port) as client:
            client.ping()

    def test_limits_are_counted_in_it(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        async def run() -> None:
            limit = RateLimit("5/year", "requests", url)
            await limit.hit("me")
            await limit.close()

        asyncio.run(run())
        assert not caplog.records, "a server that refuses is counted without, and said so"


@pytest.fixture(scope="module")
def mlflow() -> Iterator[str]:
    with temporary_servers.mlflow_server(password="correct-horse-battery") as server:
        yield server.url


@pytest.fixture
def settings(mlflow: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RegistrySettings:
    monkeypatch.setattr(os, "environ", os.environ.copy())  # a connection sets MLflow's variables
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        os.environ.pop(name, None)
    return RegistrySettings(
        environment="laptop", data_dir=tmp_path, mlflow_tracking_uri=mlflow, mlflow_user="hearth", mlflow_password="correct-horse-battery"
    )


class TestMlflow:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/api/2.0/mlflow/registered-models/search",
            "/ajax-api/2.0/mlflow/experiments/search?max_results=1",
            "/get-artifact?run_uuid=1&path=x",
        ],
    )
    def test_nothing_is_answered_without_the_login(self, mlflow: str, path: str) -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(mlflow + path, timeout=30)  # noqa: S310 - of a server that the test started
        assert caught.value.code == 401
        caught.value.close()

    def test_a_health_check_passes_with_the_login_of_the_settings_only(self, mlflow: str) -> None:
        right = {"HEARTH_MLFLOW_USER": "hearth", "HEARTH_MLFLOW_PASSWORD": "correct-horse-battery"}
        assert health.mlflow_ok(mlflow, right)
        for wrong in (
            {},
            {**right, "HEARTH_MLFLOW_PASSWORD": ""},
            {**right, "HEARTH_MLFLOW_PASSWORD": "no"},
            {**right, "HEARTH_MLFLOW_USER": "x"},
        ):
            assert not health.mlflow_ok(mlflow, wrong)

    def test_the_registry_gets_in_with_its_settings(self, settings: RegistrySettings) -> None:
        registry = Registry.from_settings(settings)

        registry.ping(10)
        assert registry.aliases("employees") == {}

    def test_a_registry_without_the_password_is_refused_by_name(self, settings: RegistrySettings) -> None:
        registry = Registry.from_settings(settings.model_copy(update={"mlflow_password": type(settings.mlflow_password)("")}))

        with pytest.raises(RegistryError, match="HEARTH_MLFLOW_USER and HEARTH_MLFLOW_PASSWORD"):
            registry.ping(10)

    def test_the_page_gets_its_pictures(self, settings: RegistrySettings) -> None:
        with pytest.raises(ServiceError, match=r"40[0-9]|500"):
            picture(settings.model_copy(update={"mlflow_user": "nobody"}), "0" * 32, "x.png")
        assert picture(settings, "0" * 32, "x.png") is None
