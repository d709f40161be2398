"""Servers that tests can ask for: started when the first test needs them, stopped after the last one."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from deploy.embedded import temporary_servers


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL; `fresh_database` gives a test a database of its own in it."""
    with temporary_servers.postgres() as url:
        yield url


@pytest.fixture
def fresh_database(postgres_url: str) -> str:
    """The URL of an empty database that no other test has seen."""
    return temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """The URL of a MariaDB, without a database; the test is skipped where none is installed."""
    if not temporary_servers.mariadb_is_installed():
        pytest.skip("needs MariaDB's server: apt-get install mariadb-server, or brew install mariadb")
    with temporary_servers.mariadb() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The URL of a Valkey that all tests share: use keys of your own."""
    with temporary_servers.valkey() as url:
        yield url


@pytest.fixture(scope="session")
def object_store() -> Iterator[temporary_servers.ObjectStore]:
    """An S3 store with the buckets data, processed and mlflow that all tests share: use keys of your own."""
    with temporary_servers.object_store() as store:
        yield store


@pytest.fixture(scope="session")
def mlflow_uri() -> Iterator[str]:
    """The tracking URI of an MLflow server that all tests share: use names of your own."""
    with temporary_servers.mlflow() as uri:
        yield uri
