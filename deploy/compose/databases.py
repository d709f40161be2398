"""Create the databases of Airflow, MLflow, the predictions, the data and searches, each with a user of its own.

Run as `python -m deploy.compose.databases`.

The monitor's user has no database: the migration of the predictions store grants what it may read and write there. That of backups reads
all of them.

It may run any number of times: databases stay, and every user gets the password of the environment.
"""

import logging
import os
import sys
from collections.abc import Iterable

import psycopg
from psycopg import sql

from hearth.logs import configure_logging

_LOGGER = logging.getLogger(__name__)
SERVICES = ("airflow", "mlflow", "predictions", "data", "optuna")
READERS = ("monitor",)
BACKUP_READER = "backup"


def prepare(connection: "psycopg.Connection[tuple[object, ...]]", name: str, password: str) -> None:
    """Create a user and a database of the same name that only this user may use."""
    user = prepare_user(connection, name, password)
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).rowcount == 0:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(user, user))
    connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(user))


def prepare_user(connection: "psycopg.Connection[tuple[object, ...]]", name: str, password: str) -> sql.Identifier:
    """Create a user, or give it this password, and return its name for statements."""
    user = sql.Identifier(name)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).rowcount == 0:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(user))
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(user, sql.Literal(password)))
    return user


def let_read_everything(connection: "psycopg.Connection[tuple[object, ...]]", name: str, entered: Iterable[str] = SERVICES) -> None:
    """Let a user, who makes backups, enter these databases, read all that is in them and write nothing."""
    user = sql.Identifier(name)
    connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(user))
    for database in entered:
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), user))


def main() -> int:
    """Prepare all databases; 0 if they exist."""
    configure_logging("databases")
    try:
        with psycopg.connect(os.environ["HEARTH_POSTGRES_URL"], autocommit=True, connect_timeout=10) as connection:
            for name in SERVICES:
                prepare(connection, name, os.environ[f"HEARTH_POSTGRES_{name.upper()}_PASSWORD"])
            for name in (*READERS, BACKUP_READER):
                prepare_user(connection, name, os.environ[f"HEARTH_POSTGRES_{name.upper()}_PASSWORD"])
            let_read_everything(connection, BACKUP_READER)
    except psycopg.OperationalError as error:
        _LOGGER.critical(
            "PostgreSQL refused: %s. Its superuser keeps the password that it had when the volume was made: "
            "set HEARTH_POSTGRES_PASSWORD back, or remove the volume (docker compose --profile all down -v, which removes all data).",
            " ".join(str(error).split()),
        )
        return 1
    _LOGGER.info("The databases %s are there.", ", ".join(SERVICES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
