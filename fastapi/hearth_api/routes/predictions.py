from collections.abc import Mapping
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION, aliases
from hearth.errors import UnknownDataset
from hearth.serving import LoadedModel
from hearth_api.bodies import parse_records, read_body
from hearth_api.documentation import request_body
from hearth_api.schemas import ErrorBody, PredictionAnswer
from hearth_api.state import Service, ServiceState

_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set or alias"},
    413: {"model": ErrorBody, "description": "The body is too large"},
    422: {"model": ErrorBody, "description": "The body or a record is not what the contract says"},
    503: {"model": ErrorBody, "description": "The alias has no version yet, or the registry is away and nothing is loaded"},
}


def prediction_routes(contracts: Mapping[str, Contract], default: str) -> APIRouter:
    """Make `POST /predict` for the default data set and `POST /<data set>/predict` for each."""
    if default not in contracts:
        raise UnknownDataset(default, sorted(contracts))
    router = APIRouter(tags=["predictions"], responses=_RESPONSES)
    _add_route(router, "/predict", contracts[default])
    for contract in contracts.values():
        _add_route(router, f"/{contract.name}/predict", contract)
    return router


def _add_route(router: APIRouter, path: str, contract: Contract) -> None:
    shown = f"one of: {', '.join(aliases(contract))}"

    @router.post(path, summary=f"Score records of {contract.name}", openapi_extra={"requestBody": request_body(contract)})
    async def predict(
        request: Request, service: Service, model: Annotated[str, Query(description=f"The alias that answers, {shown}.")] = CHAMPION
    ) -> PredictionAnswer:
        loaded = service.models.get(contract.name, model)
        content = await read_body(request, service.settings.api_max_body_bytes)
        return await to_thread.run_sync(_predict, service, loaded, content)


def _predict(service: ServiceState, model: LoadedModel, content: bytes) -> PredictionAnswer:
    contract = service.contracts[model.dataset]
    records = parse_records(content, contract, service.settings.api_max_records)
    scores = model.scorer.score_columns(model.scorer.parser.parse(records))
    return PredictionAnswer(
        predictions=scores.codes.tolist(),
        labels=scores.labels,
        probabilities=[dict(zip(scores.classes, row, strict=True)) for row in scores.probabilities.tolist()],
        dataset=model.dataset,
        alias=model.alias,
        model=model.dataset,
        family=model.family,
        version=model.version,
        n_samples=len(scores.codes),
    )
