"""Say whether the service in this container can serve; what the health checks of docker-compose.yaml run, in every image.

    python -m deploy.compose.healthcheck http URL
    python -m deploy.compose.healthcheck airflow URL COMPONENT
    python -m deploy.compose.healthcheck airflow-job TYPE
    python -m deploy.compose.healthcheck celery-worker
    python -m deploy.compose.healthcheck grpc PORT
    python -m deploy.compose.healthcheck stream-worker
    python -m deploy.compose.healthcheck stream-producer

Ends with 0 or with a message and 1. It runs every few seconds, so each check imports only what it needs: `airflow jobs check` alone would
cost 8 seconds of CPU.
"""

import http.client
import json
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis

_TIMEOUT_SECONDS = 5.0
_HEARTBEAT_SECONDS = 60  # Airflow's components write one every 5 seconds
_IDLE_MILLISECONDS = 60_000  # a worker asks for messages every second, but may score for longer
_PAUSE_SECONDS = 60  # the producer sends every second, if it may


class Unhealthy(Exception):
    """The service cannot do its work; the message says what was seen."""


def http_ok(url: str) -> bytes:
    """Return the body of a GET that is answered with success."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of containers
    try:
        with direct.open(url, timeout=_TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except (OSError, http.client.HTTPException) as error:  # HTTPError and URLError are OSErrors
        raise Unhealthy(f"{url}: {error}") from error


def airflow(url: str, component: str) -> None:
    """Read what Airflow says of a component: its health page is a 200 even when the scheduler is dead."""
    status = (json.loads(http_ok(f"{url}/api/v2/monitor/health")).get(component) or {}).get("status")
    if status != "healthy":
        raise Unhealthy(f"Airflow says that its {component} is {status}")


def airflow_job(job_type: str) -> None:
    """Look for a fresh heartbeat of this container's own job in Airflow's database."""
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
    """Ask this container's worker over the broker, as the scheduler's tasks reach it."""
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
    """Ask the standard health service of the gRPC server here."""
    from deploy.embedded.health import grpc_serves  # noqa: PLC0415 - only in the image of the services

    if not grpc_serves(int(port)):
        raise Unhealthy(f"the gRPC server on port {port} does not say that it serves")


def stream_worker() -> None:
    """Look whether this container's consumer has asked for messages lately."""
    from redis import RedisError  # noqa: PLC0415 - only in the image of the services

    group, host = os.environ["HEARTH_STREAM_GROUP"], socket.gethostname()
    try:
        consumers = _redis().xinfo_consumers(os.environ["HEARTH_STREAM_NAME"], group)
    except RedisError as error:
        raise Unhealthy(f"the stream cannot be asked: {error}") from error
    idle = [consumer["idle"] for consumer in consumers if host in consumer["name"].decode()]
    if not idle or min(idle) > _IDLE_MILLISECONDS:
        raise Unhealthy(
            f"no consumer of the group {group!r} from {host} has asked for messages in the last {_IDLE_MILLISECONDS // 1000} seconds"
        )


def stream_producer() -> None:
    """Look whether messages come in, or there is a reason why not: the stream is as long as it may be, or there is no model to be asked."""
    from redis import RedisError  # noqa: PLC0415 - only in the image of the services

    try:
        info = _redis().xinfo_stream(os.environ["HEARTH_STREAM_NAME"])
    except RedisError as error:
        raise Unhealthy(f"the stream cannot be asked: {error}") from error
    age = time.time() - int(info["last-generated-id"].partition(b"-")[0]) / 1000
    if age > _PAUSE_SECONDS and info["length"] < int(os.environ["HEARTH_STREAM_MAX_LENGTH"]) and _has_models():
        raise Unhealthy(f"the last message is {age:.0f} seconds old")


def _has_models() -> bool:
    """Whether one of the producer's data sets has a version with an alias."""
    datasets = os.environ["HEARTH_PRODUCER_DATASET"]
    answer = json.loads(http_ok(f"{os.environ['HEARTH_MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/search?max_results=1000"))
    trained = {model["name"] for model in answer.get("registered_models", ()) if model.get("aliases")}
    return bool(trained if datasets == "all" else trained & {name.strip() for name in datasets.split(",")})


def _redis() -> "Redis":
    from redis import Redis  # noqa: PLC0415

    return Redis.from_url(os.environ["HEARTH_REDIS_URL"], socket_timeout=_TIMEOUT_SECONDS)


CHECKS: dict[str, Callable[..., object]] = {
    "http": http_ok,
    "airflow": airflow,
    "airflow-job": airflow_job,
    "celery-worker": celery_worker,
    "grpc": grpc,
    "stream-worker": stream_worker,
    "stream-producer": stream_producer,
}


def main() -> int:
    """Run the check that the arguments name."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in CHECKS:
        print(f"{name!r} is no check; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    try:
        CHECKS[name](*arguments)
    except Unhealthy as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
