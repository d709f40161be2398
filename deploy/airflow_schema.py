"""Refuse a database of Airflow that a newer release has written: `airflow db migrate` would end with a trace.

Run in Airflow's environment.
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # run as a file, whose folder holds other modules than its package

from sqlalchemy.exc import OperationalError

from deploy.schema import NewerDatabaseError, known_revisions, present_revision, refuse_newer


def check(uri: str) -> None:
    """Check the database; raises NewerDatabaseError."""
    revisions = known_revisions("airflow", "migrations/versions")
    refuse_newer("Airflow", version("apache-airflow-core"), present_revision(uri), revisions)


if __name__ == "__main__":
    try:
        check(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    except NewerDatabaseError as error:
        sys.exit(f"airflow-database: {error}")
    except OperationalError as error:
        sys.exit(f"airflow-database: Airflow's database does not answer: {error.orig}")
