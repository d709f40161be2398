from http import HTTPStatus
from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from hearth.contracts.aliases import CHAMPION
from hearth.serving.alias_view import AliasStatus
from hearth_api.errors import ServiceStarting
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.service import AliasState, Health, NotReady, Readiness, ServerState, ServiceInfo
from hearth_api.state import Service, ServiceState

router = APIRouter(tags=["service"])

_PATHS = {
    "documentation": "/docs",
    "openapi": "/openapi.json",
    "health": "/health",
    "ready": "/ready",
    "datasets": "/datasets",
    "models": "/models",
    "model_info": "/model-info",
    "predict": "/predict",
}


@router.get("/", summary="Get name, version and links")
async def get_service(request: Request, service: Service) -> ServiceInfo:
    """Name and version of the service, its data sets, and links."""
    return ServiceInfo(
        name="hearth",
        version=version("hearth"),
        datasets=sorted(service.contracts),
        default_dataset=service.settings.api_default_dataset,
        links={name: request.scope.get("root_path", "") + path for name, path in _PATHS.items()},
    )


@router.get(
    "/health",
    summary="Check that the process lives and has started",
    responses={503: {"model": ErrorBody, "description": "It lives, and still loads champions: `detail` names them"}},
)
async def get_health(service: Service) -> Health:
    """Asks no other server: this process is healthy while the registry is away.

    It has started when each champion that the registry names serves, or `/ready` says why not, and a minute after its start in any case.
    """
    if waiting := service.models.starting():
        raise ServiceStarting("; ".join(waiting))
    return Health()


@router.get(
    "/ready",
    summary="Check that the service is ready",
    response_model=Readiness,
    responses={503: {"model": NotReady, "description": "Something is missing: `detail` says what, and why"}},
)
async def get_readiness(service: Service) -> Response:
    """Checks MLflow, the object store, Redis, PostgreSQL and each alias, within two seconds.

    Ready means that all servers answer, that the default data set has a champion, and that every alias of the registry serves some version.
    If a version was refused and the one before it serves, its alias names the problem, and the service stays ready.
    """
    results = await service.dependencies.check()
    status = service.models.status()
    servers = {
        name: ServerState(
            ok=not result.problem,
            problem=result.problem,
            milliseconds=result.milliseconds,
            address=service.dependencies.addresses.get(name, ""),
        )
        for name, result in results.items()
    }
    aliases = [_alias_state(alias) for alias in status.aliases if alias.serving or alias.registered or _is_required(service, alias)]
    missing = [f"{name}: {server.problem.rstrip('.')}" for name, server in servers.items() if not server.ok]
    missing += [f"{alias.dataset}@{alias.alias}: {alias.problem.rstrip('.')}" for alias in aliases if not alias.ok]
    missing += [f"starting: {waiting.rstrip('.')}" for waiting in status.starting]
    if not status.following:
        missing.append("models: the registry is no longer followed; the log says why")
    last_look = status.last_poll.isoformat() if status.last_poll else None
    if not missing:
        return JSONResponse(Readiness(servers=servers, following=status.following, last_look=last_look, aliases=aliases).model_dump())
    detail = "; ".join(missing)
    content = NotReady(detail=detail, servers=servers, following=status.following, last_look=last_look, aliases=aliases)
    return JSONResponse(content.model_dump(), HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})


def _is_required(service: ServiceState, alias: AliasStatus) -> bool:
    return (alias.dataset, alias.alias) == (service.settings.api_default_dataset, CHAMPION)


def _alias_state(alias: AliasStatus) -> AliasState:
    problem = alias.problem
    if alias.serving is None and not problem:
        problem = "no version carries this alias yet. Run a training first."
    return AliasState(
        dataset=alias.dataset,
        alias=alias.alias,
        ok=alias.serving is not None,
        version=alias.serving,
        registered=alias.registered,
        problem=problem,
    )
