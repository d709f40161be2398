"""The health of services that REST reports on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from streamlit_app.health_checks import Health
from streamlit_app.service import Json

_REST = "REST and GraphQL"
_SERVERS = {"mlflow": "MLflow", "s3": "object store (S3)", "redis": "Valkey (Redis)", "postgresql": "PostgreSQL"}
_BEHIND_SECONDS = 60.0
_SILENT_SECONDS = 60.0  # the producer sends every second


def rest_health(ready: Json, milliseconds: float | None = None) -> list[Health]:
    """Return the health of REST, which has answered in this time, and of the servers that it needs."""
    return [Health(_REST, milliseconds=milliseconds), *(_server(name, state) for name, state in ready["servers"].items())]


def unknown_health(problem: str) -> list[Health]:
    """Return the same while REST does not answer: the health of its servers is unknown."""
    return [Health(_REST, problem), *(_unknown(name, "REST, which reports it, does not answer.") for name in _SERVERS.values())]


def worker_health(worker: Health, stream: Json | None) -> Health:
    """Return the health of the stream worker: it answers, waits for no server, and no message waits for long."""
    oldest = stream["oldest_seconds"] if stream else 0.0
    if worker.problem or oldest <= _BEHIND_SECONDS:
        return worker
    return replace(worker, problem=f"A message has waited for {oldest:,.0f} seconds.")


def producer(stream: Json | None, aliases: list[Json]) -> Health:
    """Return the health of the fake producer, from the messages in the stream.

    It sends nothing while no version serves, and while the stream is full.
    """
    name = "fake producer"
    if stream is None:
        return _unknown(name, "the stream does not answer.")
    newest = stream["newest_seconds"]
    if newest is not None and newest <= _SILENT_SECONDS:
        return Health(name)
    if not any(alias["version"] for alias in aliases):
        return Health(name, note="it waits for the first model of any data set.")
    if stream["length"] >= stream["bound"]:
        return Health(name, note=f"it waits, because the stream is full ({stream['bound']:,} messages).")
    since = "yet" if newest is None else f"for {newest:,.0f} seconds"
    return Health(name, f"No message has arrived in the stream {stream['stream']} {since}.")


def _server(name: str, state: Mapping[str, Any]) -> Health:
    problem, address = state["problem"], state.get("address", "")
    label = _SERVERS.get(name, name)
    if problem and address and address not in problem:
        problem = f"{label} at {address}: {problem}"
    return Health(label, problem, milliseconds=None if problem else state.get("milliseconds"))


def _unknown(service: str, reason: str) -> Health:
    return Health(service, note=reason, is_known=False)
