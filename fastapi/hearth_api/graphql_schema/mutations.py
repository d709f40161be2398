"""What GraphQL writes: reports of what records turned out to be, and what people do with alerts."""

from datetime import datetime
from typing import Annotated, Any

import strawberry
from anyio import to_thread
from strawberry.scalars import JSON
from strawberry.tools import create_type

from hearth.predictions.feedback import Door
from hearth.serving.access import FEEDBACK
from hearth_api.audit import act_for
from hearth_api.graphql_schema import types
from hearth_api.graphql_schema.alert_mutations import alert_mutations
from hearth_api.graphql_schema.errors import InvalidQuery
from hearth_api.graphql_schema.queries import Info
from hearth_api.middleware.api_keys import caller_name
from hearth_api.schemas.feedback import feedback_answer

_DESCRIPTION = "Report what records turned out to be; each report is answered by itself, in their order."


@strawberry.input(description="What one record turned out to be.")
class FeedbackInput:
    id: str = strawberry.field(description="id of the request or message that the record was in")
    truth: JSON = strawberry.field(description="the class by its name, or as the target column of the data set holds it")
    row: int = strawberry.field(default=0, description="index of the record in its request or message")
    dataset: str | None = strawberry.field(default=None, description="needed if the prediction is not stored, or not yet")
    observed_at: datetime | None = strawberry.field(default=None, description="when the truth was observed; by default now")
    reported_by: str | None = strawberry.field(default=None, description="who says so; by default the name of the API key")


Reports = Annotated[list[FeedbackInput], strawberry.argument(description="at least one")]
DatasetOfAll = Annotated[str | None, strawberry.argument(description="for reports that do not name theirs")]


async def send_feedback(info: Info, reports: Reports, dataset: DatasetOfAll = None) -> types.Feedback:
    """Receive reports as `POST /feedback` does."""
    await info.context.guard.admit(FEEDBACK)
    service = info.context.service
    limit = service.settings.api_max_records
    if not 1 <= len(reports) <= limit:
        raise InvalidQuery(f"'reports' must have 1 to {limit} items, got {len(reports)}.")
    info.context.count_rows(len(reports))
    name = caller_name(info.context.connection)
    act_for(info.context.connection, "graphql", name)
    door = Door("graphql", name or "graphql", dataset)
    raw = [vars(report) for report in reports]
    receipts = await to_thread.run_sync(service.feedback.receive, raw, door, limiter=service.graphql.threads)
    answer = feedback_answer(receipts)
    items = [types.convert(types.Receipt, receipt) for receipt in answer.receipts]
    return types.convert(types.Feedback, answer, receipts=items)


def make_mutation() -> type:
    """Make the type `Mutation`."""
    field: Any = strawberry.mutation(resolver=send_feedback, name="sendFeedback", description=_DESCRIPTION)
    return create_type("Mutation", [field, *alert_mutations()])
