from collections.abc import Iterator
from uuid import uuid4

import pytest

from deploy.embedded import temporary_servers
from hearth.predictions.migration import migrate
from tests.support.worker_bench import Bench


@pytest.fixture
def bench(valkey_url: str, fresh_database: str) -> Iterator[Bench]:
    """A stream and a store of its own, and workers between them."""
    migrate(fresh_database)
    bench = Bench(valkey_url, fresh_database)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[temporary_servers.Server]:
    """One that may be stopped, unlike the one that all tests share."""
    with temporary_servers.postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[temporary_servers.Server]:
    """One that may be stopped, unlike the one that all tests share."""
    with temporary_servers.valkey_server() as server:
        yield server


@pytest.fixture
def own_bench(postgres: temporary_servers.Server, valkey: temporary_servers.Server) -> Iterator[Bench]:
    """A stream and a store in servers that may be stopped, and workers between them."""
    url = temporary_servers.create_database(postgres.url, f"test_{uuid4().hex}")
    migrate(url)
    bench = Bench(valkey.url, url)
    yield bench
    bench.close()
