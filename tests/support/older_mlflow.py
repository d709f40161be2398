"""Programs in the environment of MLflow, and a database as an MLflow of one migration ago has left it."""

import os
import subprocess
from pathlib import Path

from deploy.embedded.temporary_servers import MLFLOW_PYTHON, ROOT

_PROGRAM = """
import os
from alembic import command
from deploy.schema import head, known_revisions
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.db.base_sql_model import Base
from mlflow.store.tracking.dbmodels.initial_models import Base as Initial
from sqlalchemy import create_engine
url = os.environ["MLFLOW_BACKEND_STORE_URI"]
revisions = known_revisions("mlflow", "store/db_migrations/versions")
engine = create_engine(url)
Initial.metadata.create_all(engine)
config = _get_alembic_config(url)
with engine.begin() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, revisions[head(revisions)][0])
print(head(revisions))
"""


def run(python: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a program at the root of the checkout with these settings and none of the caller's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "AIRFLOW", "HEARTH", "PYTHON"))}
    return subprocess.run(
        [python, *words], cwd=ROOT, env={**inherited, **variables}, capture_output=True, text=True, timeout=300, check=False
    )


def make_older(uri: str) -> str:
    """Make the tables of an empty database as an older MLflow had them; returns the newest revision, which they do not have."""
    made = run(MLFLOW_PYTHON, "-c", _PROGRAM, MLFLOW_BACKEND_STORE_URI=uri)
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[-1]
