"""Migrates the predictions store to the schema of this version of the package."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, exc, make_url, text
from sqlalchemy.pool import NullPool

from hearth.errors import NewerSchema
from hearth.predictions.alembic_config import alembic_config
from hearth.predictions.store import CONNECT_SECONDS, describe, unavailable

VERSION_TABLE = "predictions_version"
_LOCK = 0x68656172  # any number
# What the monitor's database user may do, where there is one: read predictions, add to them, and write its own results.
# Granted at each migration, because a migration may have made tables anew.
_GRANT_MONITOR = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitor') THEN
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO monitor', current_database());
            GRANT USAGE ON SCHEMA public TO monitor;
            GRANT SELECT, INSERT ON predictions TO monitor; -- samples of batches
            GRANT SELECT, INSERT, DELETE ON drift_checks, drift_columns, version_outputs TO monitor;
            GRANT SELECT, DELETE ON refused_records TO monitor;
            GRANT SELECT, INSERT ON labels TO monitor;
            GRANT SELECT ON forgotten_records TO monitor;
            GRANT SELECT, INSERT, UPDATE ON rollouts, retrains, alerts TO monitor;
            GRANT SELECT, INSERT ON retrain_records TO monitor;
            GRANT SELECT, INSERT ON rollout_events, alert_events TO monitor;
            GRANT SELECT ON rollout_counts TO monitor;
            GRANT SELECT, INSERT, UPDATE, DELETE ON quality_checks, quality_tests, quality_losses TO monitor;
            GRANT SELECT, INSERT ON audit TO monitor;
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'backup') THEN -- reads everything, and says so
            GRANT INSERT ON audit TO backup;
        END IF;
    END $$
"""


def migrate(url: str) -> str:
    """Apply missing migrations and return the revision. Processes that start together wait for each other.

    Raises:
        PredictionsUnavailable: the store does not answer.
        NewerSchema: a newer release has migrated it. Nothing was changed.
    """
    config = alembic_config()
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS}
    )
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config.attributes["connection"] = connection
            _refuse_newer(config, connection, describe(url))
            command.upgrade(config, "head")
            connection.execute(text(_GRANT_MONITOR))
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            return context.get_current_revision() or ""
    except exc.OperationalError as error:
        raise unavailable(describe(url), error.orig or error) from error


def _refuse_newer(config: Config, connection: Connection, place: str) -> None:
    present = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    scripts = ScriptDirectory.from_config(config)
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        raise NewerSchema(place, present, scripts.get_current_head() or "")
