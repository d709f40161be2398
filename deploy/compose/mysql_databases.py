"""Create databases for MLflow and the data in MySQL or MariaDB, each with a user of its own: `python -m deploy.compose.mysql_databases`.

It may run any number of times: databases stay, and every user gets the password of the environment.
"""

import logging
import os
import sys
from pathlib import Path

import pymysql

_LOGGER = logging.getLogger(__name__)
_SOURCE = Path(__file__).resolve().parents[2] / "src"  # MLflow's environment has no package of ours
SERVICES = ("mlflow", "data")


def prepare(cursor: pymysql.cursors.Cursor, name: str, password: str) -> None:
    """Create a user and a database of the same name that only this user may use."""
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (name, password))
    cursor.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", (name, password))
    cursor.execute(f"GRANT ALL ON `{name}`.* TO %s@'%%'", (name,))


def main() -> int:
    """Prepare both databases; 0 if they exist."""
    sys.path.append(str(_SOURCE))
    from hearth.logs import configure_logging  # noqa: PLC0415 - found by the line above

    configure_logging("mysql-databases", form=os.environ.get("HEARTH_LOG_FORMAT") or "text")
    host, port = os.environ["HEARTH_MYSQL_HOST"], int(os.environ.get("HEARTH_MYSQL_PORT", "3306"))
    password = os.environ["HEARTH_MYSQL_PASSWORD"]
    try:
        with pymysql.connect(host=host, port=port, user="root", password=password, connect_timeout=10) as connection:
            for name in SERVICES:
                prepare(connection.cursor(), name, password)
    except pymysql.err.OperationalError as error:
        _LOGGER.critical(
            "MySQL refused: %s. Its root keeps the password that it had when the volume was made: set HEARTH_MYSQL_PASSWORD back, "
            "or remove the volume (docker volume rm hearth_mysql_data, which removes all that it holds).",
            error,
        )
        return 1
    _LOGGER.info("The databases %s are there.", ", ".join(SERVICES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
