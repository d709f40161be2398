"""Health of the service in this container: the health checks of docker-compose.yaml run this in every image.

    python -m deploy.compose.healthcheck http URL
    python -m deploy.compose.healthcheck mlflow URL
    python -m deploy.compose.healthcheck airflow URL COMPONENT
    python -m deploy.compose.healthcheck airflow-job TYPE
    python -m deploy.compose.healthcheck celery-worker
    python -m deploy.compose.healthcheck grpc PORT
    python -m deploy.compose.healthcheck stream-worker
    python -m deploy.compose.healthcheck stream-producer

The exit code is 0, or 1 with a message. It runs every few seconds, so each check imports only what it needs: `airflow jobs check` alone
takes 8 seconds of CPU.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from deploy.health import airflow_status, grpc_serves, http_get, mlflow_get

if TYPE_CHECKING:
    from redis import Redis

_TIMEOUT_SECONDS = 5.0
_HEARTBEAT_SECONDS = 60  # Airflow's components write one every 5 seconds
_IDLE_MILLISECONDS = 60_000  # a worker asks for messages every second, but may score for longer
_PAUSE_SECONDS = 60  # the producer sends every second, if it may


class Unhealthy(Exception):
    """The service cannot do its work; the message says why."""


def http(url: str) -> None:
    """Check that a GET succeeds."""
    http_get(url)


def mlflow(url: str) -> None:
    """Check that MLflow answers calls under this address."""
    mlflow_get(url, os.environ)


def airflow(url: str, component: str) -> None:
    """Check the status that Airflow gives of a component, and that the API server's interface for tasks answers.

    That is built when it is first called, for 7 s: without this call the first task would wait for it.
    """
    if (status := airflow_status(url, component)) != "healthy":
        raise Unhealthy(f"Airflow's {component} is {status}")
    http(f"{url}/execution/health")


def airflow_job(job_type: str) -> None:
    """Check that Airflow's database has a fresh heartbeat of this container's job."""
    import psycopg2  # noqa: PLC0415 - only in Airflow's image

    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    query = "SELECT EXTRACT(EPOCH FROM now() - max(latest_heartbeat)) FROM job WHERE job_type = %s AND hostname = %s AND state = 'running'"
    try:
        connection = psycopg2.connect(url, connect_timeout=int(_TIMEOUT_SECONDS))
    except psycopg2.Error as error:
        raise Unhealthy(f"Airflow's database does not answer: {error}") from error
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, (job_type, socket.getfqdn()))
            [age] = cursor.fetchone()
    finally:
        connection.close()
    if age is None or age > _HEARTBEAT_SECONDS:
        raise Unhealthy(f"the last heartbeat of {job_type} here is {'missing' if age is None else f'{age:.0f} seconds old'}")


def celery_worker() -> None:
    """Check that this container's worker answers over the broker, as tasks of the scheduler reach it."""
    from celery import Celery  # noqa: PLC0415 - only in Airflow's image
    from kombu.exceptions import OperationalError  # noqa: PLC0415

    name = f"celery@{socket.gethostname()}"
    with Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"], set_as_current=False) as app:
        try:
            answers = app.control.ping(destination=[name], timeout=_TIMEOUT_SECONDS, limit=1)
        except OperationalError as error:
            raise Unhealthy(f"the broker does not answer: {error}") from error
    if not answers:
        raise Unhealthy(f"{name} does not answer")


def grpc(port: str) -> None:
    """Check the standard health service of the gRPC server in this container."""
    if not grpc_serves(int(port)):
        raise Unhealthy(f"the gRPC server on port {port} is not serving")


def stream_worker() -> None:
    """Check that this container's consumer has read from the stream lately."""
    from redis import RedisError  # noqa: PLC0415 - only in the image of the services

    group, host = os.environ["HEARTH_STREAM_GROUP"], socket.gethostname()
    try:
        consumers = _redis().xinfo_consumers(os.environ["HEARTH_STREAM_NAME"], group)
    except RedisError as error:
        raise Unhealthy(f"the stream does not answer: {error}") from error
    idle = [consumer["idle"] for consumer in consumers if host in consumer["name"].decode()]
    if not idle or min(idle) > _IDLE_MILLISECONDS:
        raise Unhealthy(
            f"no consumer of the group {group!r} from {host} has asked for messages in the last {_IDLE_MILLISECONDS // 1000} seconds"
        )


def stream_producer() -> None:
    """Check that messages come in, unless the stream is full or no model is trained."""
    from redis import RedisError  # noqa: PLC0415 - only in the image of the services

    try:
        info = _redis().xinfo_stream(os.environ["HEARTH_STREAM_NAME"])
    except RedisError as error:
        raise Unhealthy(f"the stream does not answer: {error}") from error
    age = time.time() - int(info["last-generated-id"].partition(b"-")[0]) / 1000
    if age > _PAUSE_SECONDS and info["length"] < int(os.environ["HEARTH_STREAM_MAX_LENGTH"]) and _has_models():
        raise Unhealthy(f"the last message is {age:.0f} seconds old")


def _has_models() -> bool:
    """Tell whether one of the producer's data sets has a version with an alias."""
    datasets = os.environ["HEARTH_PRODUCER_DATASET"]
    answer = json.loads(mlflow_get(os.environ["HEARTH_MLFLOW_TRACKING_URI"], os.environ))
    trained = {model["name"] for model in answer.get("registered_models", ()) if model.get("aliases")}
    return bool(trained if datasets == "all" else trained & {name.strip() for name in datasets.split(",")})


def _redis() -> "Redis":
    from redis import Redis  # noqa: PLC0415

    return Redis.from_url(os.environ["HEARTH_REDIS_URL"], socket_timeout=_TIMEOUT_SECONDS)


CHECKS: dict[str, Callable[..., object]] = {
    "http": http,
    "mlflow": mlflow,
    "airflow": airflow,
    "airflow-job": airflow_job,
    "celery-worker": celery_worker,
    "grpc": grpc,
    "stream-worker": stream_worker,
    "stream-producer": stream_producer,
}


def main() -> int:
    """Run a check; 0 if the service is healthy, 2 if there is no such check."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in CHECKS:
        print(f"{name!r} is not a check; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    try:
        CHECKS[name](*arguments)
    except (Unhealthy, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
