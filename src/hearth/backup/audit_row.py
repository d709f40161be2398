"""The rows of the audit trail about backups: they go to the database of the predictions, by the way that the backup or the restore has."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from hearth.audit import Action, new_entry, open_trail

PREDICTIONS = "predictions"


def record(server_url: str, action: Action, backup_id: str, detail: Mapping[str, object]) -> None:
    """Record that a backup was made or restored; the log has the row if the store does not take it, such as one of an older release."""
    url = urlsplit(server_url)._replace(path=f"/{PREDICTIONS}").geturl()
    with open_trail(url) as trail:
        trail.record(new_entry(action, subject=backup_id, detail=detail))
