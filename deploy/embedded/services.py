"""The services of the embedded stack: the needs of each, its health check, and the time that its start may take."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from deploy.embedded import health
from deploy.embedded.launcher import SettingError

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """A program of supervisord.conf; `needs` names services and preparations."""

    name: str
    needs: tuple[str, ...]
    limit_seconds: int
    is_healthy: Callable[[Environment], bool]
    is_optional: bool = False  # starts only when it is named
    steady_seconds: int = 0  # healthy only after running this long: for a service without a health check


@dataclass(frozen=True)
class Preparation:
    """A program that runs to its end when its needs are healthy; it runs again on every start."""

    name: str
    needs: tuple[str, ...]
    limit_seconds: int
    command: tuple[str, ...]


def _postgres(environment: Environment) -> bool:
    return health.postgres_accepts(int(environment["HEARTH_POSTGRES_PORT"]))


def _valkey(environment: Environment) -> bool:
    return health.valkey_answers(int(environment["HEARTH_REDIS_PORT"]), environment.get("HEARTH_REDIS_PASSWORD", ""))


def _minio(environment: Environment) -> bool:
    return health.object_store_ready(environment)


def _mlflow(environment: Environment) -> bool:
    return health.mlflow_ok(f"http://127.0.0.1:{environment['HEARTH_MLFLOW_PORT']}", environment)


def _airflow(component: str, environment: Environment) -> bool:
    return not health.airflow_unhealthy(f"http://127.0.0.1:{environment['HEARTH_AIRFLOW_PORT']}", [component])


def _airflow_api(environment: Environment) -> bool:
    # The interface for tasks is built when it is first called, for 7 s; the first task would wait for it, and try again
    return _airflow("metadatabase", environment) and health.http_ok(
        f"http://127.0.0.1:{environment['HEARTH_AIRFLOW_PORT']}/execution/health"
    )


def _fastapi(environment: Environment) -> bool:
    return health.http_ok(f"http://127.0.0.1:{environment['HEARTH_API_PORT']}/health")


def _grpc(environment: Environment) -> bool:
    return health.grpc_serves(int(environment["HEARTH_GRPC_PORT"]))


def _batch_api(environment: Environment) -> bool:
    return health.http_ok(f"http://127.0.0.1:{environment['HEARTH_BATCH_API_PORT']}/health")


def _streamlit(environment: Environment) -> bool:
    return health.http_ok(f"http://127.0.0.1:{environment['HEARTH_PAGE_PORT']}/_stcore/health")


def _exporter(environment: Environment) -> bool:
    return health.http_ok(f"http://127.0.0.1:{environment['HEARTH_EXPORTER_PORT']}/metrics")


def _prometheus(environment: Environment) -> bool:
    return health.http_ok(f"http://127.0.0.1:{environment['HEARTH_PROMETHEUS_PORT']}/-/ready")


def _runs(_: Environment) -> bool:
    return True  # it has no health check: supervisord keeps it running


EMBEDDED_PYTHON = ".venvs/embedded/bin/python"
_APPLICATION_NEEDS = ("databases", "valkey", "mlflow")

SERVICES = (
    Service("postgres", (), 30, _postgres),
    Service("valkey", (), 20, _valkey),
    Service("minio", (), 30, _minio),
    Service("mlflow", ("databases", "minio"), 180, _mlflow),
    Service("airflow-apiserver", ("airflow-database", "minio"), 180, _airflow_api),
    Service("airflow-scheduler", ("airflow-database", "minio"), 180, partial(_airflow, "scheduler")),
    Service("airflow-dag-processor", ("airflow-database", "minio"), 180, partial(_airflow, "dag_processor")),
    Service("airflow-triggerer", ("airflow-database", "minio"), 180, partial(_airflow, "triggerer")),
    Service("batch-api", (), 60, _batch_api),
    # Healthy when the champions serve, which a process waits for at most a minute (model_follower)
    Service("fastapi", _APPLICATION_NEEDS, 150, _fastapi),
    Service("grpc", _APPLICATION_NEEDS, 150, _grpc),
    Service("streamlit", (), 60, _streamlit),
    Service("stream_worker", _APPLICATION_NEEDS, 60, _runs, steady_seconds=3),
    Service("fake_data_producer", ("valkey",), 60, _runs, steady_seconds=3),
    # `make monitoring`
    Service("exporter", (), 60, _exporter, is_optional=True),
    Service("prometheus", ("prometheus-program", "exporter"), 60, _prometheus, is_optional=True),
)
DEFAULT_SERVICES = tuple(service for service in SERVICES if not service.is_optional)

PREPARATIONS = (
    Preparation(
        "databases",
        ("postgres",),
        30,
        (EMBEDDED_PYTHON, "-m", "deploy.embedded.postgres", "create-database", "airflow", "mlflow", "predictions", "data", "optuna"),
    ),
    Preparation("prometheus-program", (), 300, (EMBEDDED_PYTHON, "-m", "deploy.embedded.prometheus", "find")),
    Preparation("airflow-database", ("databases",), 180, (EMBEDDED_PYTHON, "-m", "deploy.embedded.airflow_database")),
)


def with_needs(names: Iterable[str]) -> list[Service | Preparation]:
    """Return these services and all their needs, in an order in which they can start.

    Raises:
        SettingError: there is no such service.
    """
    steps: dict[str, Service | Preparation] = {step.name: step for step in (*SERVICES, *PREPARATIONS)}
    ordered: dict[str, Service | Preparation] = {}

    def add(name: str) -> None:
        for need in steps[name].needs:
            add(need)
        ordered[name] = steps[name]

    for name in names:
        find_service(name)
        add(name)
    return list(ordered.values())


def find_service(name: str) -> Service:
    """Return a service by its name.

    Raises:
        SettingError: there is no such service.
    """
    for service in SERVICES:
        if service.name == name:
            return service
    raise SettingError(f"There is no service {name!r}; there are: {', '.join(service.name for service in SERVICES)}.")
