from http import HTTPStatus
from importlib.metadata import version

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from hearth.contracts.aliases import CHAMPION
from hearth.serving.model_follower import AliasStatus
from hearth_api.schemas.service import AliasState, Health, NotReady, Readiness, ServerState, ServiceInfo
from hearth_api.state import Service, ServiceState

router = APIRouter(tags=["service"])

_LINKS = {
    "documentation": "/docs",
    "openapi": "/openapi.json",
    "health": "/health",
    "ready": "/ready",
    "datasets": "/datasets",
    "models": "/models",
    "model_info": "/model-info",
    "predict": "/predict",
}


@router.get("/", summary="Who answers")
async def root(service: Service) -> ServiceInfo:
    """Name, version, and where to go on."""
    return ServiceInfo(
        name="hearth",
        version=version("hearth"),
        datasets=sorted(service.contracts),
        default_dataset=service.settings.api_default_dataset,
        links=_LINKS,
    )


@router.get("/health", summary="Is the process alive")
async def health() -> Health:
    """Answer without asking anybody: a registry that is away does not make this process ill."""
    return Health()


@router.get(
    "/ready",
    summary="Can the service do all that it is there for",
    response_model=Readiness,
    responses={503: {"model": NotReady, "description": "Something is missing: `detail` says what, and how"}},
)
async def ready(service: Service) -> Response:
    """Ask MLflow, the object store, Redis and PostgreSQL, all at once and for two seconds at most, and look at each alias.

    Ready means that they all answer, that the default data set has a champion, and that some version serves under every alias that the
    registry names. A version that was refused while the one before it serves is told, and does not make the service unready.
    """
    answers = await service.dependencies.ask()
    status = service.models.status()
    servers = {
        name: ServerState(
            ok=not answer.problem,
            problem=answer.problem,
            milliseconds=answer.milliseconds,
            address=service.dependencies.places.get(name, ""),
        )
        for name, answer in answers.items()
    }
    aliases = [_alias_state(alias) for alias in status.aliases if alias.serving or alias.registered or _is_needed(service, alias)]
    missing = [f"{name}: {server.problem.rstrip('.')}" for name, server in servers.items() if not server.ok]
    missing += [f"{alias.dataset}@{alias.alias}: {alias.problem.rstrip('.')}" for alias in aliases if not alias.ok]
    if not status.following:
        missing.append("models: nobody follows the registry any more; the log says why")
    last_look = status.last_poll.isoformat() if status.last_poll else None
    if not missing:
        return JSONResponse(Readiness(servers=servers, following=status.following, last_look=last_look, aliases=aliases).model_dump())
    detail = "; ".join(missing)
    content = NotReady(detail=detail, servers=servers, following=status.following, last_look=last_look, aliases=aliases)
    return JSONResponse(content.model_dump(), HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})


def _is_needed(service: ServiceState, alias: AliasStatus) -> bool:
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
