"""Model cards."""

from enum import StrEnum
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from hearth.cards import CONTENT_SECURITY_POLICY
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import Service

router = APIRouter(tags=["models"])


class CardFormat(StrEnum):
    """How a card is written."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


_MEDIA_TYPES = {CardFormat.HTML: "text/html", CardFormat.MARKDOWN: "text/markdown", CardFormat.JSON: "application/json"}
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"description": "The card", "content": {type_: {"schema": {"type": "string"}} for type_ in _MEDIA_TYPES.values()}},
    404: {"model": ErrorBody, "description": "No such data set, version or alias, or the version has no card"},
    503: {"model": ErrorBody, "description": "The registry is away"},
}


@router.get("/models/{dataset}/{version}/card", summary="Get the model card of a version", response_class=Response, responses=_RESPONSES)
async def get_card(
    service: Service,
    dataset: str,
    version: Annotated[str, Path(description="The number of a version, or an alias that it carries.", max_length=100)],
    form: Annotated[CardFormat, Query(alias="format", description="How the card is written.")] = CardFormat.HTML,
) -> Response:
    """What a version is for, what it was made from, how good it is, also for groups, what the gate decided. Asks the registry."""
    cards = service.cards
    write = {CardFormat.HTML: cards.html, CardFormat.MARKDOWN: cards.markdown, CardFormat.JSON: cards.json}[form]
    content = await to_thread.run_sync(write, service.contract(dataset), version, limiter=service.registry_threads)
    policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY} if form is CardFormat.HTML else {}
    return Response(content, media_type=_MEDIA_TYPES[form], headers={**_HEADERS, **policy})
