"""The audit trail in GraphQL: it needs what its route of REST needs."""

from functools import partial

from anyio import to_thread

from hearth.audit import Action, Result
from hearth.audit.store import AuditFilter
from hearth_api.graphql_schema import types
from hearth_api.graphql_schema.errors import InvalidQuery
from hearth_api.graphql_schema.queries import Info
from hearth_api.schemas.audit import audit_entry, next_cursor

_MOST_ENTRIES = 1_000
_CURSOR_DIGITS = 18
AUDIT = "Who did what, the newest first; needs a key for administration."


async def audit(  # noqa: PLR0913, PLR0917 - filters
    info: Info,
    first: int = 100,
    after: str | None = None,
    action: str | None = None,
    actor: str | None = None,
    dataset: str | None = None,
    result: str | None = None,
) -> types.AuditPage:
    """Read a page of the trail."""
    await info.context.guard.admit_admin()
    if not 1 <= first <= _MOST_ENTRIES:
        raise InvalidQuery(f"'first' must be 1 to {_MOST_ENTRIES}, got {first}.")
    for name, value, known in (("action", action, Action), ("result", result, Result)):
        if value is not None and value not in list(known):
            raise InvalidQuery(f"{name!r} must be one of {', '.join(known)}.")
    if any("\0" in (text or "") for text in (actor, dataset)):
        raise InvalidQuery("A text holds the character NUL, which no name has.")
    if after is not None and not (after.isascii() and after.isdecimal() and len(after) <= _CURSOR_DIGITS):
        raise InvalidQuery("'after' must be the cursor of a page.")
    info.context.count_rows(first)
    service = info.context.service
    selection = AuditFilter(action, actor, dataset, result)
    read = partial(service.audit.store.entries, first + 1, selection, int(after) if after else None)
    entries = await to_thread.run_sync(read, limiter=service.graphql.threads)
    rows = [types.convert(types.AuditEntry, audit_entry(entry)) for entry in entries[:first]]
    return types.AuditPage(entries=rows, cursor=next_cursor(entries, first))
