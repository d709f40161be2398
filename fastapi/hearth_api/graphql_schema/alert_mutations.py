"""What GraphQL changes of alerts: they are taken up and resolved. Each needs what its route of REST needs."""

from functools import partial
from typing import Annotated, Any

import strawberry
from anyio import to_thread

from hearth_api.audit import acknowledge, resolve
from hearth_api.graphql_schema import types
from hearth_api.graphql_schema.errors import InvalidQuery
from hearth_api.graphql_schema.queries import Info
from hearth_api.schemas.alert_builders import alert_info, person
from hearth_api.schemas.alerts import Resolution

_LONGEST_NAME, _LONGEST_TEXT = 100, 1_000
By = Annotated[str | None, strawberry.argument(description="a person; by default the name of the API key")]


async def acknowledge_alert(info: Info, id: strawberry.ID, by: By = None) -> types.Alert:  # noqa: A002 - its name in GraphQL
    key = await info.context.guard.admit_admin()
    service = info.context.service
    work = partial(acknowledge, service, alert_id_of(id), person(_checked("by", by, _LONGEST_NAME), key))
    return types.convert(types.Alert, alert_info(await to_thread.run_sync(work, limiter=service.graphql.threads)))


async def resolve_alert(info: Info, id: strawberry.ID, why: str | None = None, by: By = None) -> types.Alert:  # noqa: A002
    key = await info.context.guard.admit_admin()
    service = info.context.service
    said = _checked("why", why, _LONGEST_TEXT) or Resolution(by=None).why
    work = partial(resolve, service, alert_id_of(id), said, person(_checked("by", by, _LONGEST_NAME), key))
    return types.convert(types.Alert, alert_info(await to_thread.run_sync(work, limiter=service.graphql.threads)))


def alert_id_of(text: strawberry.ID) -> int:
    """Return the id of an alert.

    Raises:
        InvalidQuery: it is no number of one.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) < 2**63):  # noqa: PLR2004 - digits of the largest
        raise InvalidQuery("'id' must be the number of an alert.")
    return int(text)


def alert_mutations() -> list[Any]:
    """Make the fields of alerts of the type `Mutation`."""
    take, over = "Take an alert up; needs a key for administration.", "Say that an alert is over; needs the same."
    return [
        strawberry.mutation(resolver=acknowledge_alert, name="acknowledgeAlert", description=take),
        strawberry.mutation(resolver=resolve_alert, name="resolveAlert", description=over),
    ]


def _checked(name: str, text: str | None, longest: int) -> str | None:
    if text is not None and not 1 <= len(text) <= longest:
        raise InvalidQuery(f"{name!r} must have 1 to {longest} characters, got {len(text)}.")
    return text
