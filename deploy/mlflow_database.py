"""Bring MLflow's database to the schema of the MLflow that is installed, before its server starts, which would refuse an older one.

Run by `deploy/mlflow_server.py` in MLflow's environment. An upgrade is MLflow's own (`mlflow db upgrade`); a newer database is refused.
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # run as a file, whose folder holds other modules than its package

from sqlalchemy.exc import OperationalError

from deploy.schema import NewerDatabaseError, head, known_revisions, present_revision, refuse_newer


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
    print(f"mlflow: its database has the schema {present} of an older MLflow and is upgraded to {head(revisions)}.", flush=True)
    import mlflow.db  # noqa: PLC0415 - takes seconds

    mlflow.db.upgrade.main([uri], standalone_mode=False)  # in this process: a URL with its password would be seen among the arguments
    print("mlflow: its database is upgraded.", flush=True)
    return True


if __name__ == "__main__":
    try:
        upgrade(os.environ["MLFLOW_BACKEND_STORE_URI"])
    except NewerDatabaseError as error:
        sys.exit(f"mlflow: {error}")
    except OperationalError as error:  # the server itself says so, too, and waits for it
        print(f"mlflow: its database does not answer yet: {error.orig}", file=sys.stderr)
