from collections.abc import Mapping
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request

from hearth.contracts import Contract
from hearth.contracts.aliases import aliases
from hearth_api.requests.parameters import alias_parameter
from hearth_api.schemas.builders import alias_info, dataset_info, dataset_summary, model_info, version_info
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.models import AliasInfo, DatasetInfo, DatasetList, DatasetModels, ModelInfo, ModelList, VersionList
from hearth_api.state import Service

router = APIRouter(tags=["models"])

_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"model": ErrorBody, "description": "No such data set or alias"}}
_NOT_SERVED: dict[int | str, dict[str, object]] = {
    **_NOT_FOUND,
    503: {"model": ErrorBody, "description": "The alias has no version, or the registry is away and nothing is loaded"},
}
_NO_REGISTRY: dict[int | str, dict[str, object]] = {**_NOT_FOUND, 503: {"model": ErrorBody, "description": "The registry is away"}}


@router.get("/models", summary="List data sets and their aliases")
@router.get("/list-models", include_in_schema=False)
async def list_models(service: Service) -> ModelList:
    """Which version each alias serves, with its metrics, as of the last look at the registry. `/list-models` is the same."""
    by_dataset: dict[str, list[AliasInfo]] = {name: [] for name in service.contracts}
    for status in service.models.status().aliases:
        by_dataset[status.dataset].append(alias_info(service, status))
    return ModelList(
        datasets=[
            DatasetModels(dataset=name, title=contract.title, registered_model=name, metric=contract.metric, aliases=by_dataset[name])
            for name, contract in service.contracts.items()
        ]
    )


@router.get("/models/{dataset}/versions", summary="List the versions of a data set", responses=_NO_REGISTRY)
async def list_versions(service: Service, dataset: str) -> VersionList:
    """Every version in the registry, the latest first, also those without an alias. Asks the registry."""
    versions = await to_thread.run_sync(service.alias_admin.candidates, service.contract(dataset), limiter=service.registry_threads)
    return VersionList(dataset=dataset, versions=[version_info(state) for state in versions])


@router.get("/datasets", summary="List data sets")
async def list_datasets(request: Request, service: Service) -> DatasetList:
    """Name, title and links of each data set."""
    default, root_path = service.settings.api_default_dataset, request.scope.get("root_path", "")
    return DatasetList(
        datasets=[dataset_summary(contract, default=name == default, root_path=root_path) for name, contract in service.contracts.items()]
    )


@router.get("/datasets/{name}", summary="Get the contract of a data set", responses=_NOT_FOUND)
async def get_dataset(request: Request, service: Service, name: str) -> DatasetInfo:
    """Columns with kinds, units, ranges, categories and descriptions, classes, and an example: all that a form needs."""
    contract, root_path = service.contract(name), request.scope.get("root_path", "")
    return dataset_info(contract, default=name == service.settings.api_default_dataset, root_path=root_path)


def model_info_routes(contracts: Mapping[str, Contract]) -> APIRouter:
    """Make `GET /model-info`, also `/model/info`, and `GET /{dataset}/model-info`, which describe a version that is served."""
    router = APIRouter(tags=["models"], responses=_NOT_SERVED)
    names = list(dict.fromkeys(alias for contract in contracts.values() for alias in aliases(contract)))
    requested_alias = alias_parameter(names, "An alias of the data set.")

    @router.get("/model-info", summary="Describe a version that is served")
    @router.get("/model/info", include_in_schema=False)
    async def get_model_info(
        service: Service,
        model: Annotated[str, Depends(requested_alias)],
        dataset: Annotated[str | None, Query(description="A data set; without it, the default one.")] = None,
    ) -> ModelInfo:
        """What the registry said of the version when it was loaded, and the features of its records. `/model/info` is the same."""
        return model_info(service, dataset, model)

    @router.get("/{dataset}/model-info", summary="Describe a version of a data set that is served")
    async def get_dataset_model_info(service: Service, dataset: str, model: Annotated[str, Depends(requested_alias)]) -> ModelInfo:
        """What the registry said of the version when it was loaded, and the features of its records."""
        return model_info(service, dataset, model)

    return router
