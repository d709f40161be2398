"""Migrate Airflow's database and create or correct its user: `python -m deploy.compose.airflow_init`.

It may run any number of times. Each command of Airflow takes seconds, so the user is changed only if it is missing or cannot log in.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

from hearth.logs import configure_logging

_LOGGER = logging.getLogger(__name__)


def main() -> int:
    """Migrate, then create the user or set its password."""
    user, password = os.environ["HEARTH_AIRFLOW_USER"], os.environ["HEARTH_AIRFLOW_PASSWORD"]
    refused = subprocess.run([sys.executable, str(Path(__file__).parents[1] / "airflow_schema.py")], check=False)
    if refused.returncode:
        return refused.returncode
    _airflow("db", "migrate")
    password_hash = _password_hash(user)
    if password_hash is None:
        person = ["--firstname", "Hearth", "--lastname", "Admin", "--email", f"{user}@example.com"]
        _airflow("users", "create", "--username", user, "--password", password, "--role", "Admin", *person)
    elif not _matches(password_hash, password):
        _airflow("users", "reset-password", "--username", user, "--password", password)
    _LOGGER.info("Airflow's database is ready, and %r can log in.", user)
    return 0


def _airflow(*arguments: str) -> None:
    subprocess.run(["airflow", *arguments], check=True)  # noqa: S607 - the one of this image


def _password_hash(user: str) -> str | None:
    import psycopg2  # noqa: PLC0415 - only in Airflow's image

    connection = psycopg2.connect(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT password FROM ab_user WHERE username = %s", (user,))
            row = cursor.fetchone()
    finally:
        connection.close()
    return None if row is None else str(row[0])


def _matches(password_hash: str, password: str) -> bool:
    from werkzeug.security import check_password_hash  # noqa: PLC0415 - only in Airflow's image

    return bool(check_password_hash(password_hash, password))


if __name__ == "__main__":
    configure_logging("airflow-init")
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        _LOGGER.critical("`%s` ended with code %d; what it printed above says why", " ".join(error.cmd[:3]), error.returncode)
        sys.exit(1)
