from fastapi import APIRouter

from hearth.errors import ModelUnavailable, RegistryError
from hearth.serving import AliasStatus
from hearth_api.schemas import AliasInfo, DatasetModels, ModelList
from hearth_api.state import Service, ServiceState

router = APIRouter(tags=["models"])


@router.get("/models", summary="Every data set and its aliases")
def list_models(service: Service) -> ModelList:
    """Which version each alias serves. While the registry is away, what is loaded is listed without metrics."""
    by_dataset: dict[str, list[AliasInfo]] = {name: [] for name in service.contracts}
    for status in service.models.status().aliases:
        by_dataset[status.dataset].append(_alias_info(service, status))
    return ModelList(
        datasets=[
            DatasetModels(dataset=name, registered_model=name, metric=service.contracts[name].metric, aliases=aliases)
            for name, aliases in by_dataset.items()
        ]
    )


def _alias_info(service: ServiceState, status: AliasStatus) -> AliasInfo:
    if status.serving is None:
        return AliasInfo(
            alias=status.alias,
            version=None,
            registered=status.registered,
            family=None,
            run_id=None,
            metrics={},
            since=None,
            problem=status.problem,
        )
    model = service.models.get(status.dataset, status.alias)
    try:
        metrics = dict(service.registry.version(status.dataset, model.version).metrics)
    except (RegistryError, ModelUnavailable):
        metrics = {}
    return AliasInfo(
        alias=status.alias,
        version=model.version,
        registered=status.registered,
        family=model.family,
        run_id=model.run_id,
        metrics=metrics,
        since=model.loaded_at.isoformat(),
        problem=status.problem,
    )
