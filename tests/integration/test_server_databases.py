"""Databases of MLflow and Airflow: of an older release they are upgraded when the server starts, of a newer one they are refused."""

from uuid import uuid4

import psycopg
import pytest

from deploy.embedded import temporary_servers
from deploy.embedded.temporary_servers import MLFLOW_PYTHON, ROOT
from hearth.registry import Registry
from tests.support.older_mlflow import make_older, run

AIRFLOW_PYTHON = ROOT / ".venvs/airflow/bin/python"


@pytest.fixture
def database(postgres_url: str) -> str:
    return temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")


def revision(url: str) -> str:
    with psycopg.connect(url) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
        return str(found)


def test_mlflow_upgrades_its_database_and_refuses_that_of_a_newer_one(database: str) -> None:
    uri = database.replace("postgresql://", "postgresql+psycopg2://")
    latest, older = make_older(uri), revision(database)
    assert older != latest
    program = ["deploy/mlflow_database.py"]

    upgraded = run(MLFLOW_PYTHON, *program, MLFLOW_BACKEND_STORE_URI=uri)

    assert upgraded.returncode == 0, upgraded.stderr
    assert f"INFO    mlflow the database has the schema {older} of an older MLflow and is upgraded to {latest}" in upgraded.stderr
    assert revision(database) == latest
    with temporary_servers.mlflow_server(uri) as server:
        registry = Registry(server.url)
        assert registry.aliases("employees") == {}
    again = run(MLFLOW_PYTHON, *program, MLFLOW_BACKEND_STORE_URI=uri)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")

    with psycopg.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff00000000'")
    # through the program that both stacks start: the server does not start either
    refused = run(MLFLOW_PYTHON, "-m", "deploy.mlflow_server", "--port", str(temporary_servers.free_port()), MLFLOW_BACKEND_STORE_URI=uri)
    assert refused.returncode == 1
    assert "MLflow's database has the schema ffff00000000, which MLflow 3" in refused.stderr
    assert "a newer release has written it" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert revision(database) == "ffff00000000"


def test_a_database_that_is_empty_or_away_is_left_to_mlflow_itself(database: str) -> None:
    uri = database.replace("postgresql://", "postgresql+psycopg2://")
    assert run(MLFLOW_PYTHON, "deploy/mlflow_database.py", MLFLOW_BACKEND_STORE_URI=uri).returncode == 0
    away = run(MLFLOW_PYTHON, "deploy/mlflow_database.py", MLFLOW_BACKEND_STORE_URI="postgresql+psycopg2://a:secret@127.0.0.1:9/x")
    assert away.returncode == 0
    assert "the database does not answer yet" in away.stderr
    assert "secret" not in away.stderr


def test_airflow_refuses_a_database_of_a_newer_one_without_a_trace(database: str) -> None:
    uri = database.replace("postgresql://", "postgresql+psycopg2://")
    program = ["-P", "deploy/airflow_schema.py"]
    assert run(AIRFLOW_PYTHON, *program, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=uri).returncode == 0  # empty: `airflow db migrate` fills it
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('d2f4e1b3c5a7')")
    known = run(AIRFLOW_PYTHON, *program, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=uri)
    assert known.returncode == 0, known.stderr
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff00000000'")
    refused = run(AIRFLOW_PYTHON, *program, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=uri)
    assert refused.returncode == 1
    assert "Airflow's database has the schema ffff00000000" in refused.stderr
    assert "Traceback" not in refused.stderr
