"""The users of the embedded PostgreSQL: each owns one database, and may use no other. On a real server."""

import os
import subprocess
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from deploy.embedded import temporary_servers
from hearth.alerts import AlertStore
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate

NAMES = ("airflow", "predictions")
PASSWORDS = {name: f'quo\'ted "{name}" \\ % $ word' for name in NAMES}

Prepare = Callable[..., None]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with temporary_servers.postgres() as url:
        yield url


@pytest.fixture(scope="module")
def prepare(server: str) -> Prepare:
    def run(**passwords: str) -> None:
        parts = urlsplit(server)
        settings = {
            "HEARTH_POSTGRES_PORT": str(parts.port),
            "HEARTH_POSTGRES_USER": str(parts.username),
            "HEARTH_POSTGRES_PASSWORD": str(parts.password),
            **{f"HEARTH_POSTGRES_{name.upper()}_PASSWORD": password for name, password in passwords.items()},
        }
        command = [str(temporary_servers.EMBEDDED_PYTHON), "-m", "deploy.embedded.postgres", "create-database", *NAMES]
        subprocess.run(command, cwd=temporary_servers.ROOT, env={**os.environ, **settings}, check=True, capture_output=True)

    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE predictions")  # as an earlier version made it
    with psycopg.connect(server, dbname="predictions", autocommit=True) as superuser:
        superuser.execute("CREATE TABLE earlier (id serial PRIMARY KEY, mood text); INSERT INTO earlier (mood) VALUES ('kept')")
        superuser.execute("CREATE SEQUENCE counter; CREATE TYPE mood AS ENUM ('good'); CREATE VIEW seen AS SELECT * FROM earlier")
    migrate(server.rpartition("/")[0] + "/predictions")
    run(**PASSWORDS)
    run(**PASSWORDS)  # as at every start
    return run


def as_user(server: str, user: str, database: str, password: str = "") -> psycopg.Connection:
    return psycopg.connect(server, user=user, password=password or PASSWORDS[user], dbname=database, autocommit=True)


@pytest.mark.usefixtures("prepare")
@pytest.mark.parametrize("name", NAMES)
def test_a_user_makes_tables_in_its_database_and_enters_no_other(server: str, name: str) -> None:
    with as_user(server, name, name) as connection:
        connection.execute("CREATE TABLE mine (id int); DROP TABLE mine")
        rights = connection.execute("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user").fetchone()
        assert rights == (False, False, False)
    [other] = set(NAMES) - {name}
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        as_user(server, name, other)


@pytest.mark.usefixtures("prepare")
def test_what_a_superuser_made_before_belongs_to_the_user_now(server: str) -> None:
    with as_user(server, "predictions", "predictions") as connection:
        assert connection.execute("SELECT mood FROM seen").fetchall() == [("kept",)]
        connection.execute("INSERT INTO earlier (mood) VALUES ('new')")
        connection.execute("ALTER TABLE earlier ADD COLUMN more int; ALTER TYPE mood ADD VALUE 'bad'; ALTER SEQUENCE counter RESTART 5")
    url = f"postgresql://predictions@{urlsplit(server).netloc.rpartition('@')[2]}/predictions"
    os.environ["PGPASSWORD"] = PASSWORDS["predictions"]
    try:
        assert migrate(url)
        with PredictionStore(url) as store:
            store.ping()
    finally:
        del os.environ["PGPASSWORD"]


def test_a_changed_password_holds_after_the_next_start(server: str, prepare: Prepare) -> None:
    prepare(**{**PASSWORDS, "airflow": "another-password"})

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        as_user(server, "airflow", "airflow")
    as_user(server, "airflow", "airflow", "another-password").close()
    prepare(**PASSWORDS)


def test_the_monitors_user_owns_nothing_and_may_what_a_migration_grants(server: str, prepare: Prepare) -> None:
    prepare(**PASSWORDS, monitor="watching")
    migrate(server.rpartition("/")[0] + "/predictions")

    with as_user(server, "monitor", "predictions", "watching") as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (0,)
        connection.execute("DELETE FROM drift_checks")
    monitors = f"{server.rpartition('/')[0].replace(urlsplit(server).netloc.rpartition('@')[0], 'monitor:watching')}/predictions"
    with AlertStore(monitors) as alerts:
        alerts.open("drift", "employees", "info", "moved")
        alerts.open("drift", "employees", "critical", "moved on")
        assert alerts.resolve("drift", "employees", "quiet")
    with as_user(server, "monitor", "predictions", "watching") as connection:
        for forbidden in ("DELETE FROM predictions", "SELECT * FROM earlier", "DROP TABLE drift_checks"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        as_user(server, "monitor", "airflow", "watching")


def test_who_makes_backups_reads_every_database_and_writes_none(server: str, prepare: Prepare) -> None:
    prepare(**PASSWORDS, backup="reading")

    for database in NAMES:
        with as_user(server, "backup", database, "reading") as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for [table] in tables:
                connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE mine (id int)")
    with as_user(server, "backup", "predictions", "reading") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM predictions")
