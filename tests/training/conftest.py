"""What tests share: store and registry, and for tests of batches a data set of their own with its table in each database."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import MetaData, create_engine

from deploy.embedded import temporary_servers
from hearth.contracts import Contract
from hearth.data.ingest import BatchTable
from hearth.registry import Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.samples import renamed_contract
from tests.support.sources import batch_contract
from tests.training.batch_rows import sql


@pytest.fixture(autouse=True)
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests promote is none of the trail of a running stack, which .env names; a test may name a store of its own."""
    monkeypatch.setenv("HEARTH_MONITOR_URL", "")


@pytest.fixture
def store(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    return ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key=object_store.secret_key
    )


@pytest.fixture
def registry(mlflow_uri: str) -> Registry:
    return Registry(mlflow_uri, revision="0123")


@pytest.fixture(scope="session", params=["postgresql+psycopg2", "mysql+pymysql"])
def one_database(request: pytest.FixtureRequest) -> str:
    """The URL of a database in each of the servers: making one for each test takes longer than the tests."""
    name = f"batches_{uuid4().hex}"  # the servers are shared with parallel processes
    if request.param.startswith("mysql"):
        server = f"{request.getfixturevalue('mysql_url')}/"
        sql(server, f"CREATE DATABASE {name}")
        return f"{server}{name}"
    created = temporary_servers.create_database(request.getfixturevalue("postgres_url"), name)
    return created.replace("postgresql://", f"{request.param}://")


@pytest.fixture
def database(one_database: str) -> str:
    """The URL of an empty database."""
    engine = create_engine(one_database)
    found = MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()
    return one_database


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield batch_contract(tmp_path, "meadow")
    get_settings.cache_clear()


@pytest.fixture
def employees_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    """The employees under a name of the test's own, so that its registered model is its own too."""
    contract = renamed_contract(tmp_path, f"data_{uuid4().hex}")
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield contract
    get_settings.cache_clear()


@pytest.fixture
def table(database: str, contract: Contract) -> BatchTable:
    return BatchTable(database, contract, "meadow")
