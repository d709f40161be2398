"""TLS to PostgreSQL, Valkey and the object store, with addresses as docs/compose.md shows them and a certificate authority made here."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.embedded import temporary_servers
from hearth.errors import PredictionsUnavailable, StorageUnavailable, StreamUnavailable
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.storage import ObjectStore
from hearth.streaming.client import StreamClient
from tests.support.authority import OPENSSL, Authority
from tests.support.tls_proxy import tls_in_front_of

pytestmark = pytest.mark.skipif(not OPENSSL, reason="openssl, which makes the certificates, is not installed")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.sign("IP:127.0.0.1")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that has signed nothing."""
    return Authority(tmp_path_factory.mktemp("other"))


def test_the_predictions_store_is_read_over_tls(
    fresh_database: str, certificate: tuple[Path, Path], authority: Authority, stranger: Authority
) -> None:
    plain = urlsplit(fresh_database)
    with tls_in_front_of(plain.port or 5432, *certificate) as port:
        # `direct`: the embedded PostgreSQL has no TLS of its own that it could be asked for first
        address = plain._replace(netloc=f"{plain.username}:{plain.password}@127.0.0.1:{port}").geturl()
        url = f"{address}?sslmode=verify-full&sslnegotiation=direct&sslrootcert="
        migrate(f"{url}{authority.ca}")
        with PredictionStore(f"{url}{authority.ca}") as store:
            assert store.recent(1) == []
        with PredictionStore(f"{url}{stranger.ca}") as store, pytest.raises(PredictionsUnavailable):
            store.recent(1)


def test_the_stream_is_read_over_tls(valkey_url: str, certificate: tuple[Path, Path], authority: Authority, stranger: Authority) -> None:
    plain = urlsplit(valkey_url)
    with tls_in_front_of(plain.port or 6379, *certificate) as port:
        url = f"rediss://127.0.0.1:{port}{plain.path}?ssl_ca_certs="
        with StreamClient(f"{url}{authority.ca}", "stream") as client:
            client.ping()
        with StreamClient(f"{url}{stranger.ca}", "stream") as client, pytest.raises(StreamUnavailable):
            client.ping()


def test_the_object_store_is_read_over_tls(
    object_store: temporary_servers.ObjectStore,
    certificate: tuple[Path, Path],
    authority: Authority,
    stranger: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def connect(port: int, ca: Path) -> ObjectStore:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(ca))
        return ObjectStore(
            f"https://127.0.0.1:{port}",
            region=object_store.region,
            access_key=object_store.access_key,
            secret_key=object_store.secret_key,
        )

    with tls_in_front_of(urlsplit(object_store.endpoint_url).port or 80, *certificate) as port:
        store = connect(port, authority.ca)
        assert store.put("data", "over/tls", b"content")
        assert store.get("data", "over/tls") == b"content"
        with pytest.raises(StorageUnavailable, match="SSL"):
            connect(port, stranger.ca).get("data", "over/tls")
