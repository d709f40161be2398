"""Bring MLflow's database to the schema of the MLflow that is installed, before its server starts, which would refuse an older one.

Run by `deploy/mlflow_server.py` in MLflow's environment. An upgrade is MLflow's own (`mlflow db upgrade`); a newer database is refused.
Its log is that of the server: HEARTH_LOG_FORMAT holds for it too.
"""

import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path

# Run as a file, whose folder holds other modules than its package; and MLflow's environment has no package of ours
sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "src")]

from sqlalchemy.exc import OperationalError

from deploy.schema import NewerDatabaseError, head, known_revisions, present_revision, refuse_newer
from hearth.logs import configure_logging
from hearth.logs.printed import log_what_is_printed

_LOGGER = logging.getLogger("mlflow_database")


def upgrade(uri: str) -> bool:
    """Upgrade a database if it is older; returns whether it was.

    Raises:
        NewerDatabaseError: it is of a newer MLflow. Nothing was changed.
    """
    revisions = known_revisions("mlflow", "store/db_migrations/versions")
    present = present_revision(uri)
    refuse_newer("MLflow", version("mlflow"), present, revisions)
    if present is None or present == head(revisions):
        return False
    _LOGGER.info("the database has the schema %s of an older MLflow and is upgraded to %s", present, head(revisions))
    import mlflow.db  # noqa: PLC0415 - takes seconds

    mlflow.db.upgrade.main([uri], standalone_mode=False)  # in this process: a URL with its password would be seen among the arguments
    _LOGGER.info("the database is upgraded")
    return True


def main() -> int:
    """Upgrade the database of the environment; 1 if the server must not start."""
    form = os.environ.get("HEARTH_LOG_FORMAT") or "text"
    configure_logging("mlflow", form=form)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # as MLflow's own configuration has it
    if form == "json":
        os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
        log_what_is_printed()
    try:
        upgrade(os.environ["MLFLOW_BACKEND_STORE_URI"])
    except NewerDatabaseError as error:
        _LOGGER.critical("%s", error)
        return 1
    except OperationalError as error:  # the server itself says so, too, and waits for it
        _LOGGER.warning("the database does not answer yet: %s", error.orig)
    return 0


if __name__ == "__main__":
    sys.exit(main())
