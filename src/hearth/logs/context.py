"""What a line of the log is about. The fields are the same in every process, and each is there only where it applies."""

from contextvars import ContextVar

FIELDS = ("request_id", "dataset", "alias", "version", "message_id")
REQUEST_ID: ContextVar[str | None] = ContextVar("hearth_request_id", default=None)


def about(
    dataset: str | None = None,
    *,
    alias: str | None = None,
    version: str | None = None,
    message_id: str | None = None,
    request_id: str | None = None,
) -> dict[str, str]:
    """Return the argument `extra` of a call of a logger: what the line is about. Never a value of a record."""
    fields = {"dataset": dataset, "alias": alias, "version": version, "message_id": message_id, "request_id": request_id}
    return {name: value for name, value in fields.items() if value}
