"""Bring the predictions store up to the schema that this version of the package works with."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, exc, make_url, text
from sqlalchemy.pool import NullPool

from hearth.predictions.store import CONNECT_SECONDS, described, unavailable

VERSION_TABLE = "predictions_version"
_LOCK = 0x68656172  # any number that is ours


def migrate(url: str) -> str:
    """Apply the migrations that are missing and return the revision reached. Processes that start together wait for one another.

    Raises:
        PredictionsUnavailable: the store does not answer.
    """
    config = Config()
    config.set_main_option("script_location", "hearth.predictions:migrations")
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS}
    )
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            return context.get_current_revision() or ""
    except exc.OperationalError as error:
        raise unavailable(described(url), error.orig or error) from error
