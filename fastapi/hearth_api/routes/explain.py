import asyncio
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION, aliases
from hearth.serving.explaining import ALL_CLASSES, Explanation
from hearth_api.documentation import request_body
from hearth_api.requests.bodies import parse_records, receive_body
from hearth_api.routes.predict import RESPONSES
from hearth_api.schemas.explanations import ContributionAnswer, ExplainAnswer, ExplanationAnswer
from hearth_api.state import Service


def explain_routes(contracts: Mapping[str, Contract], default: str, max_records: int) -> APIRouter:
    """Make `POST /explain` for the default data set and `POST /<data set>/explain` for each."""
    router = APIRouter(tags=["explanations"], responses=RESPONSES)
    _add_route(router, "/explain", contracts[default], max_records)
    for contract in contracts.values():
        _add_route(router, f"/{contract.name}/explain", contract, max_records)
    return router


def _add_route(router: APIRouter, path: str, contract: Contract, max_records: int) -> None:
    shown = f"one of: {', '.join(aliases(contract))}"
    classes = ", ".join(contract.target.classes)

    @router.post(
        path,
        summary=f"Why records of {contract.name} are predicted as they are",
        openapi_extra={"requestBody": request_body(contract, max_records)},
    )
    async def explain(
        request: Request,
        service: Service,
        model: Annotated[str, Query(description=f"The alias that answers, {shown}.")] = CHAMPION,
        class_: Annotated[
            str | None,
            Query(alias="class", description=f"The class to explain: {classes}, or {ALL_CLASSES}; by default each record's predicted one."),
        ] = None,
        top: Annotated[int | None, Query(ge=1, le=1_000, description="So many contributions of each record, the largest.")] = None,
    ) -> ExplainAnswer:
        """Give what each column of a record adds to the score of a class."""
        loaded = service.models.get(contract.name, model)
        service.explainers.check_class(contract.name, class_)
        settings = service.settings
        content = await receive_body(request.scope, request.receive, settings.api_max_body_bytes, settings.api_body_seconds)
        columns = await service.predictor.in_compute_thread(
            lambda: loaded.scorer.parser.parse(parse_records(content, contract, settings.explain_max_records))
        )
        made = await asyncio.wrap_future(service.explainers.submit(loaded, columns, class_, top))
        return ExplainAnswer(
            explanations=[_answer(explanation, contract) for explanation in made],
            method=service.explainers.method(loaded),
            dataset=loaded.dataset,
            alias=loaded.alias,
            model=loaded.dataset,
            family=loaded.family,
            version=loaded.version,
            n_samples=len(columns),
            request_id=request.state.request_id,
        )


def _answer(explanation: Explanation, contract: Contract) -> ExplanationAnswer:
    return ExplanationAnswer(
        row=explanation.row,
        prediction=contract.class_codes[explanation.code],
        label=explanation.label,
        probability=explanation.probabilities[explanation.explained],
        probabilities=dict(explanation.probabilities),
        explained_class=explanation.explained,
        unit=explanation.unit,
        base_value=explanation.base_value,
        score=explanation.score,
        contributions=[
            ContributionAnswer(column=part.column, value=part.value, contribution=part.contribution) for part in explanation.contributions
        ],
        rest=explanation.rest,
    )
