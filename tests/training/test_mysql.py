"""MySQL in PostgreSQL's place: what Compose prepares there, and MLflow with its registry on it. MariaDB stands for both."""

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
import pymysql
import pytest

from deploy.compose import mysql_databases
from deploy.embedded import temporary_servers
from hearth.contracts.aliases import CHAMPION
from hearth.modelling.families import FAMILIES
from hearth.registry import NewVersion, Registry
from hearth.training.tuning import fit
from tests.support.samples import EMPLOYEES, sample_split


def login(
    mysql_url: str, user: str, password: str, database: str | None = None
) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
    address = urlsplit(mysql_url)
    return pymysql.connect(host=address.hostname, port=address.port or 0, user=user, password=password, database=database)


@pytest.fixture
def prepared(mysql_url: str) -> str:
    """The name of a user and a database that were prepared with the password `first`."""
    name = f"t{uuid4().hex[:20]}"
    prepare(mysql_url, name, "first")
    return name


def prepare(mysql_url: str, name: str, password: str) -> None:
    administrator = urlsplit(mysql_url)
    with login(mysql_url, administrator.username or "", administrator.password or "") as connection:
        mysql_databases.prepare(connection.cursor(), name, password)


def test_preparing_again_keeps_the_data_and_takes_the_new_password(mysql_url: str, prepared: str) -> None:
    with login(mysql_url, prepared, "first", prepared) as connection:
        connection.cursor().execute("CREATE TABLE proof AS SELECT 7 AS number")
        connection.commit()

    prepare(mysql_url, prepared, "it's second")

    with login(mysql_url, prepared, "it's second", prepared) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT number FROM proof")
        assert cursor.fetchall() == ((7,),)
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        login(mysql_url, prepared, "first", prepared)


def test_a_service_cannot_enter_the_database_of_another(mysql_url: str, prepared: str) -> None:
    other = f"t{uuid4().hex[:20]}"
    prepare(mysql_url, other, "other")

    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        login(mysql_url, prepared, "first", other)


@pytest.fixture
def mlflow_on_mysql(mysql_url: str, prepared: str) -> Iterator[str]:
    address = urlsplit(mysql_url)
    backend = f"mysql+pymysql://{prepared}:first@{address.hostname}:{address.port}/{prepared}?charset=utf8mb4"
    with temporary_servers.mlflow(backend, seconds=250) as uri:
        yield uri


@pytest.mark.timeout(900)
def test_mlflow_keeps_its_registry_there(mlflow_on_mysql: str) -> None:
    """All migrations run on an empty database; names differ by case, as they do in PostgreSQL."""
    split = sample_split(EMPLOYEES)
    knn = FAMILIES["knn"]
    pipeline = fit(EMPLOYEES, split.X_train, split.y_train, knn, params=knn.defaults, seed=1)
    registry = Registry(mlflow_on_mysql, revision="0123456789abcdef")
    for dataset in ("meadow", "Meadow"):
        version = registry.register(
            NewVersion(
                dataset=dataset,
                family="knn",
                digest="0011223344556677",
                training_key=f"{dataset}/run-1",
                pipeline=pipeline,
                example=split.X_test.head(5),
                params={"n_neighbors": 25, "long": "ü" * 3_000},
                metrics={"macro_f1": 0.8, "accuracy": float("nan")},
                pictures={},
            )
        )
        registry.set_alias(dataset, CHAMPION, version.version)

        found = registry.version(dataset, CHAMPION)

        assert (found.version, found.dataset, found.metrics["macro_f1"]) == ("1", dataset, 0.8)
        np.testing.assert_array_equal(registry.load(found).predict_proba(split.X_test), pipeline.predict_proba(split.X_test))
