"""The tables of the predictions store, where a new stack has none yet: its services make them, and none of them runs before a restore."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from hearth.backup import databases
from hearth.backup.audit_row import PREDICTIONS
from hearth.predictions.migration import migrate

_OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"


def make_tables(server_url: str) -> None:
    """Make the tables as this release has them, in the name of the database's owner; a database that has tables stays as it is.

    Raises:
        BackupUnavailable, PredictionsUnavailable: the server does not answer.
    """
    with databases.connected(server_url, PREDICTIONS) as connection:
        if databases.read_schema(connection).tables:
            return
        [owner] = connection.execute(_OWNER).fetchone() or ("",)
    url = urlsplit(server_url)
    query = urlencode([*parse_qsl(url.query), ("options", f"-c role={owner}")], quote_via=quote)
    migrate(url._replace(path=f"/{PREDICTIONS}", query=query).geturl())
