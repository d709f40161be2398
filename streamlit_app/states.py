"""How services are that the page does not ask itself: by what REST tells of them."""

from collections.abc import Mapping
from dataclasses import replace

from streamlit_app.others import Health
from streamlit_app.service import Json

_REST = "REST and GraphQL"
_SERVERS = {"mlflow": "MLflow", "s3": "object store (S3)", "redis": "Valkey (Redis)", "postgresql": "PostgreSQL"}
_BEHIND_SECONDS = 60.0
_SILENT_SECONDS = 60.0  # the producer sends every second, if it may


def of_rest(ready: Json) -> list[Health]:
    """Return how REST is, which has answered, and how the servers are that it needs."""
    return [Health(_REST), *(_server(name, found) for name, found in ready["servers"].items())]


def without_rest(problem: str) -> list[Health]:
    """Return what is known of them while REST does not answer: nothing."""
    return [Health(_REST, problem), *(_unknown(name, "REST, which tells, does not answer.") for name in _SERVERS.values())]


def worker_beside(worker: Health, stream: Json | None) -> Health:
    """Return how the stream worker is: it answers, waits for nobody, and leaves nothing waiting in the stream."""
    oldest = stream["oldest_seconds"] if stream else 0.0
    if worker.problem or oldest <= _BEHIND_SECONDS:
        return worker
    return replace(worker, problem=f"A message has waited for {oldest:,.0f} seconds.")


def producer(stream: Json | None, aliases: list[Json]) -> Health:
    """Return how the fake producer is: by what comes into the stream, as it answers nobody.

    It sends nothing while no version serves that could be asked, and while the stream is full.
    """
    name = "fake producer"
    if stream is None:
        return _unknown(name, "the stream cannot be looked at.")
    newest = stream["newest_seconds"]
    if newest is not None and newest <= _SILENT_SECONDS:
        return Health(name)
    if not any(alias["version"] for alias in aliases):
        return Health(name, note="it waits until some data set has a model.")
    if stream["length"] >= stream["bound"]:
        return Health(name, note=f"it waits, as the stream holds all the {stream['bound']:,} messages that it may.")
    since = "yet" if newest is None else f"for {newest:,.0f} seconds"
    return Health(name, f"No message has come into the stream {stream['stream']} {since}.")


def _server(name: str, found: Mapping[str, str]) -> Health:
    problem, address = found["problem"], found.get("address", "")
    label = _SERVERS.get(name, name)
    if problem and address and address not in problem:
        problem = f"{label} at {address}: {problem}"
    return Health(label, problem)


def _unknown(service: str, why: str) -> Health:
    return Health(service, note=why, is_known=False)
