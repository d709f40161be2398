"""What served records turned out to be; docs/feedback.md."""

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request

from hearth.predictions.feedback import Door, Receipt
from hearth_api.audit import act_for
from hearth_api.middleware.api_keys import caller_name
from hearth_api.requests.bodies import Limit, receive_body
from hearth_api.requests.feedback import parse_feedback
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.feedback import FeedbackAnswer, FeedbackReport, FeedbackReports, feedback_answer
from hearth_api.state import Service

_EXAMPLE = {"id": "019ad0a1b2c3d4e5", "row": 0, "truth": "High", "dataset": "employees", "observed_at": "2026-11-21T08:00:00Z"}


def _report_schema() -> dict[str, Any]:
    return {**FeedbackReport.model_json_schema(), "additionalProperties": False}


def _reports_schema() -> dict[str, Any]:
    """Return the schema of several reports, with that of one in its place: a reference would point to another part of the document."""
    schema = {**FeedbackReports.model_json_schema(), "additionalProperties": False}
    del schema["$defs"]
    schema["properties"]["feedback"]["items"] = _report_schema()
    return schema


_BODY: dict[str, object] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_reports_schema(), _report_schema()]},
                "examples": {
                    "one": {"summary": "One report", "value": _EXAMPLE},
                    "many": {
                        "summary": "Several",
                        "value": {"feedback": [{**_EXAMPLE}, {**_EXAMPLE, "row": 1, "truth": "Low"}], "reported_by": "HR"},
                    },
                },
            }
        },
    }
}
_RESPONSES: dict[int | str, dict[str, object]] = {
    408: {"model": ErrorBody, "description": "The body did not arrive in time"},
    413: {"model": ErrorBody, "description": "The body is too large"},
    422: {"model": ErrorBody, "description": "The body cannot be read, or has too many reports; nothing was stored"},
    503: {"model": ErrorBody, "description": "The predictions store is away; sending the same again is safe"},
}

router = APIRouter(tags=["feedback"], responses=_RESPONSES)


@router.post("/feedback", summary="Report what records turned out to be", operation_id="send_feedback", openapi_extra=_BODY)
async def send_feedback(request: Request, service: Service) -> FeedbackAnswer:
    """Each report is answered by itself, in their order: one that is refused does not cost those beside it.

    The same report may be sent again. A label may come before its prediction is stored, if it names its data set.
    """
    settings = service.settings
    content = await receive_body(request.scope, request.receive, Limit(settings.api_max_body_bytes), settings.api_body_seconds)
    name = caller_name(request)
    act_for(request, "rest", name)
    door = Door("rest", name or "rest")

    def work() -> list[Receipt]:
        return service.feedback.receive(parse_feedback(content, settings.api_max_records), door)

    return feedback_answer(await to_thread.run_sync(work, limiter=service.store_threads))
