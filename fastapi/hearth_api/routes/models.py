from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from hearth.contracts.aliases import CHALLENGER, CHAMPION
from hearth.errors import ModelUnavailable
from hearth.serving.model_follower import AliasStatus
from hearth_api.resources import Opened
from hearth_api.schemas.builders import alias_info, dataset_info, dataset_summary, model_info, version_info
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.models import AliasInfo, DatasetInfo, DatasetList, DatasetModels, ModelInfo, ModelList, VersionList
from hearth_api.state import Service, ServiceState

router = APIRouter(tags=["models"])

_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"model": ErrorBody, "description": "No such data set or alias"}}
_NOT_SERVED: dict[int | str, dict[str, object]] = {
    **_NOT_FOUND,
    503: {"model": ErrorBody, "description": "The alias has no version yet, or the registry is away and nothing is loaded"},
}
_ASKED: dict[int | str, dict[str, object]] = {**_NOT_FOUND, 503: {"model": ErrorBody, "description": "The registry is away"}}

Alias = Annotated[str, Query(description="an alias: a family, champion, challenger or previous")]
Dataset = Annotated[str | None, Query(description="a data set; the default one if none is named")]


@router.get("/models", summary="Every data set and its aliases")
@router.get("/list-models", summary="The same", operation_id="list_models_too")
async def list_models(service: Service) -> ModelList:
    """Which version each alias serves, and how it was judged. Asks nobody: it is what was known when the versions were loaded."""
    by_dataset: dict[str, list[AliasInfo]] = {name: [] for name in service.contracts}
    for status in service.models.status().aliases:
        by_dataset[status.dataset].append(_alias_info(service, status))
    return ModelList(
        datasets=[
            DatasetModels(dataset=name, title=contract.title, registered_model=name, metric=contract.metric, aliases=by_dataset[name])
            for name, contract in service.contracts.items()
        ]
    )


@router.get("/models/{dataset}/versions", summary="Every version of a data set", responses=_ASKED)
async def list_versions(service: Service, opened: Opened, dataset: str) -> VersionList:
    """What the registry has, the latest first: also what carries no alias, and so does not serve. Asks the registry."""
    contract = service.contract(dataset)
    found = await to_thread.run_sync(opened.administration.candidates, contract, limiter=opened.admin_threads)
    return VersionList(dataset=dataset, versions=[version_info(candidate) for candidate in found])


@router.get("/model-info", summary="All about a version that is served", responses=_NOT_SERVED)
@router.get("/model/info", summary="The same", responses=_NOT_SERVED, operation_id="get_model_info_too")
async def get_model_info(service: Service, model: Alias = CHAMPION, dataset: Dataset = None) -> ModelInfo:
    """What the registry said of the version when it was loaded, and the records that it takes. Asks nobody."""
    return _model_info(service, dataset or service.settings.api_default_dataset, model)


@router.get("/{dataset}/model-info", summary="All about a version of this data set", responses=_NOT_SERVED)
async def get_model_info_of(service: Service, dataset: str, model: Alias = CHAMPION) -> ModelInfo:
    """Tell the same of another data set."""
    return _model_info(service, dataset, model)


@router.get("/datasets", summary="Every data set")
async def list_datasets(service: Service) -> DatasetList:
    """Name, title, and where to go on."""
    default = service.settings.api_default_dataset
    return DatasetList(datasets=[dataset_summary(contract, default=name == default) for name, contract in service.contracts.items()])


@router.get("/datasets/{name}", summary="The contract of a data set", responses=_NOT_FOUND)
async def get_dataset(service: Service, name: str) -> DatasetInfo:
    """Columns with kinds, units, ranges, categories and descriptions, classes, and an example: what a form is made of."""
    return dataset_info(service.contract(name), default=name == service.settings.api_default_dataset)


def _model_info(service: ServiceState, dataset: str, alias: str) -> ModelInfo:
    model = service.models.get(dataset, alias)
    [status] = [found for found in service.models.status().aliases if (found.dataset, found.alias) == (dataset, alias)]
    return model_info(service.contracts[dataset], model, status)


def _alias_info(service: ServiceState, status: AliasStatus) -> AliasInfo:
    try:
        model = service.models.get(status.dataset, status.alias)
    except ModelUnavailable:
        return alias_info(status, None)
    challenge = service.recorder.challenge_report(status.dataset) if status.alias == CHALLENGER else None
    return alias_info(status, model, challenge)
