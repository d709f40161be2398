from collections.abc import Iterator
from uuid import uuid4

import pytest

from hearth.predictions.migration import migrate
from tests.integration.worker_bench import Bench
from utils import servers


@pytest.fixture
def bench(valkey_url: str, fresh_database: str) -> Iterator[Bench]:
    """A stream and a store of its own, and workers between them."""
    migrate(fresh_database)
    bench = Bench(valkey_url, fresh_database)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.Server]:
    """One that may be stopped, unlike the one that all tests share."""
    with servers.postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[servers.Server]:
    """One that may be stopped, unlike the one that all tests share."""
    with servers.valkey_server() as server:
        yield server


@pytest.fixture
def own_bench(postgres: servers.Server, valkey: servers.Server) -> Iterator[Bench]:
    """A stream and a store in servers that may be stopped, and workers between them."""
    url = servers.create_database(postgres.url, f"test_{uuid4().hex}")
    migrate(url)
    bench = Bench(valkey.url, url)
    yield bench
    bench.close()
