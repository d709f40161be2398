"""Servers that tests share, and how tests are spread over parallel processes."""

import os
import shutil
import sys
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
from xdist.workermanage import WorkerController

from deploy.embedded import temporary_servers
from tests.browser.shared import OPEN
from tests.support import airflow_home
from tests.support.parallel import FileScheduling, processes, sort_items
from tests.support.shared_servers import LocalServers, RemoteServers, Servers

_SERVERS = pytest.StashKey[Servers]()

# Without compiled files each of the many processes that tests start compiles all that it imports, which takes 5 seconds and more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long an example takes says how busy the machine is, and nothing of the code.
hypothesis.settings.register_profile("hearth", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("hearth")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.stash[_SERVERS] = RemoteServers(*config.workerinput["servers"])
        return
    servers = config.stash[_SERVERS] = LocalServers()
    config.add_cleanup(servers.close)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a parallel process where it gets addresses from."""
    servers = node.config.stash[_SERVERS]
    assert isinstance(servers, LocalServers)
    node.workerinput["servers"] = servers.connection()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileScheduling:
    config.option.loadscopereorder = False
    return FileScheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return processes(config.args)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Close the shared browser and its page before a test that is none of theirs."""
    if not item.nodeid.startswith("tests/browser/"):
        OPEN.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sort_items(items)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    """The servers that all tests share."""
    return pytestconfig.stash[_SERVERS]


@pytest.fixture(scope="session")
def postgres_url(servers: Servers) -> str:
    """The URL of a PostgreSQL; `fresh_database` gives a test a database of its own in it."""
    return str(servers.address("postgres"))


@pytest.fixture
def fresh_database(postgres_url: str) -> str:
    """The URL of a new, empty database."""
    return temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")


@pytest.fixture(scope="session")
def mysql_url(servers: Servers) -> str:
    """The URL of a MariaDB, without a database; the test is skipped where none is installed."""
    if not temporary_servers.mariadb_is_installed():
        pytest.skip("needs MariaDB's server: apt-get install mariadb-server, or brew install mariadb")
    return str(servers.address("mariadb"))


@pytest.fixture(scope="session")
def valkey_url(servers: Servers) -> str:
    """The URL of a Valkey that all tests share: use keys of your own."""
    return str(servers.address("valkey"))


@pytest.fixture(scope="module")
def airflow_folder(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AIRFLOW_HOME for one file, with a database that has Airflow's tables; only in the environment airflow."""
    folder = tmp_path_factory.mktemp("airflow")
    shutil.copy(servers.address("airflow_database"), folder / airflow_home.DATABASE)
    return folder


@pytest.fixture(scope="session")
def object_store(servers: Servers) -> temporary_servers.ObjectStore:
    """An S3 store with the buckets data, processed and mlflow that all tests share: use keys of your own."""
    store = servers.address("object_store")
    assert isinstance(store, temporary_servers.ObjectStore)
    return store


@pytest.fixture(scope="session")
def mlflow_uri(servers: Servers) -> str:
    """The tracking URI of an MLflow server that all tests share: use names of your own."""
    return str(servers.address("mlflow"))
