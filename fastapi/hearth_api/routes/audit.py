"""The audit trail, for administrators."""

from functools import partial
from typing import Annotated
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from hearth.audit import Action
from hearth.audit.store import AuditFilter
from hearth_api.middleware.api_keys import Admin
from hearth_api.requests.parameters import TEXT
from hearth_api.schemas.audit import AuditPage, ResultName, audit_entry, next_cursor
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import Service

MOST_ENTRIES = 1_000
_RESPONSES: dict[int | str, dict[str, object]] = {
    401: {"model": ErrorBody, "description": "No API key, or an unknown one"},
    403: {"model": ErrorBody, "description": "The key does not have the scope admin"},
    429: {"model": ErrorBody, "description": "Too many wrong keys from this address"},
    503: {"model": ErrorBody, "description": "The predictions store is away"},
}

router = APIRouter(tags=["administration"], responses=_RESPONSES)


@router.get("/audit", summary="List who did what, newest first")
async def list_audit(  # noqa: PLR0913, PLR0917 - filters
    request: Request,
    service: Service,
    _: Admin,
    action: Annotated[Action | None, Query(description="Only this action.")] = None,
    actor: Annotated[str | None, Query(pattern=TEXT, description="Only what this key, task or user did.")] = None,
    dataset: Annotated[str | None, Query(pattern=TEXT, description="Only those of this data set.")] = None,
    result: Annotated[ResultName | None, Query(description="Only those that ended so.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only at this time or later: 2026-01-31T08:00:00Z.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
    after: Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,17}$", description="The cursor of the page before.")] = None,
) -> AuditPage:
    """A page of the trail; `next` is the path of the page after it. New rows never shift the pages that follow."""
    selection = AuditFilter(action, actor, dataset, result, since, until)
    read = partial(service.audit.store.entries, limit + 1, selection, int(after) if after else None)
    entries = await to_thread.run_sync(read, limiter=service.store_threads)
    cursor = next_cursor(entries, limit)
    filters = [(name, value) for name, value in request.query_params.items() if name != "after"]
    return AuditPage(
        entries=[audit_entry(entry) for entry in entries[:limit]],
        cursor=cursor,
        next=f"{request.url.path}?{urlencode([*filters, ('after', cursor)])}" if cursor else None,
    )
