from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from hearth.contracts import Contract
from hearth.contracts.aliases import aliases
from hearth.serving.explaining import ALL_CLASSES
from hearth_api.documentation import request_body
from hearth_api.requests.bodies import Limit, parse_records, receive_body
from hearth_api.requests.disconnects import unless_gone
from hearth_api.requests.parameters import alias_parameter
from hearth_api.requests.routing import RoutingKey, routing_key
from hearth_api.routes.predict import RESPONSES
from hearth_api.schemas.builders import explain_answer
from hearth_api.schemas.explanations import ExplainAnswer
from hearth_api.state import Service


def explain_routes(contracts: Mapping[str, Contract], default: str) -> APIRouter:
    """Make `POST /explain` for the default data set and `POST /{dataset}/explain` for each."""
    router = APIRouter(tags=["explanations"], responses=RESPONSES)
    _add_route(router, "/explain", contracts[default], "explain", f"the default data set, {default}")
    for name, contract in contracts.items():
        _add_route(router, f"/{name}/explain", contract, f"explain_{name}", name)
    return router


def _add_route(router: APIRouter, path: str, contract: Contract, operation_id: str, subject: str) -> None:
    classes = ", ".join(contract.target.classes)

    @router.post(
        path,
        operation_id=operation_id,
        summary=f"Explain predictions of {subject}",
        openapi_extra={"requestBody": request_body(contract, "Explain")},
    )
    async def explain(  # noqa: PLR0913, PLR0917 - its parameters
        request: Request,
        service: Service,
        model: Annotated[str, Depends(alias_parameter(aliases(contract)))],
        routing: RoutingKey = None,  # noqa: ARG001 - documented here, read from the scope
        class_: Annotated[
            str | None,
            Query(
                alias="class",
                description=f"The class to explain: {classes}, or {ALL_CLASSES}. Without it, the predicted class of each record.",
            ),
        ] = None,
        top: Annotated[
            int | None, Query(ge=1, le=1_000, description="Return only the largest contributions of each record, this many.")
        ] = None,
    ) -> ExplainAnswer:
        """What each column of a record adds to the score of a class."""
        loaded = service.predictor.route(contract.name, model, partial(routing_key, request.scope))
        service.explainers.check_class(contract.name, class_)
        settings = service.settings
        content = await receive_body(request.scope, request.receive, Limit(settings.api_max_body_bytes), settings.api_body_seconds)
        columns = await service.predictor.in_compute_thread(
            lambda: loaded.scorer.parser.parse(parse_records(content, contract, settings.explain_max_records))
        )
        explanations = await unless_gone(request, service.explainers.submit(loaded, columns, class_, top))
        return explain_answer(loaded, contract, explanations, service.explainers.method(loaded), request.state.request_id)
