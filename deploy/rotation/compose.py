"""A rotation in the Compose stack: the settings are written, and what is to be run is printed. No value is in what is printed."""

from collections.abc import Iterator
from pathlib import Path

from deploy.compose.make_secrets import write_values
from deploy.rotation.changes import restarted, secret_of
from deploy.rotation.journal import Journal

_UP = "make compose-up"
# The new password goes from the file into the server without an argument that others would see.
_SUPERUSER = (
    'sed -n "s/^HEARTH_POSTGRES_PASSWORD=\\(.*\\)/ALTER ROLE :\\"user\\" PASSWORD \'\\1\';/p" {file} |'
    ' docker compose exec -T postgres sh -c \'psql -U "$POSTGRES_USER" -d postgres -v user="$POSTGRES_USER"\''
)


def commands(journal: Journal, local: Path) -> Iterator[str]:
    """Write the settings and yield what somebody has to run, in this order."""
    write_values(local, journal.changed)
    journal.remove()
    yield f"{local.name} has new values of {', '.join(journal.changed)}. Now run:"
    if "HEARTH_POSTGRES_PASSWORD" in journal.changed:
        yield f"  {_SUPERUSER.format(file=local.name)}"
    if "HEARTH_AIRFLOW_FERNET_KEY" in journal.changed:
        yield "  # connections and variables that people made in Airflow's page have to be entered again; those of airflow/config stay"
    yield f"  {_UP}    # starts again what uses them: {', '.join(restarted(journal.names, journal.changed))}, and Airflow's worker"
    if any("until" in secret_of(name).old for name in journal.names):
        yield "  hearth secrets retire --compose    # once every caller has the new key"
