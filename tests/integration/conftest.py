from collections.abc import Iterator

import pytest

from hearth.predictions.migration import migrate
from tests.integration.worker_bench import Bench


@pytest.fixture
def bench(valkey_url: str, fresh_database: str) -> Iterator[Bench]:
    """A stream and a store of its own, and workers between them."""
    migrate(fresh_database)
    bench = Bench(valkey_url, fresh_database)
    yield bench
    bench.close()
