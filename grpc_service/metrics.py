"""What the service tells Prometheus of its calls. A message of a stream counts as a call: it has an answer and a latency of its own."""

from time import perf_counter

import grpc
from prometheus_client import CollectorRegistry

from grpc_service.errors import InternalError, status_of
from hearth.errors import HearthError
from hearth.serving.metrics import Errors, Requests

_OK = grpc.StatusCode.OK.name
_CANCELLED = grpc.StatusCode.CANCELLED.name


class Calls:
    """Counts calls by method and status code, and times them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Requests(registry, "grpc_call", by=("method",), outcome="code")
        self._errors = Errors(registry, "grpc")

    def answered(self, method: str, started: float) -> None:
        """Count a call that began at this `perf_counter`."""
        self._requests.observe((method, _OK), perf_counter() - started)

    def failed(self, method: str, started: float, error: Exception) -> None:
        """Count a call whose caller is told of an error."""
        known = error if isinstance(error, HearthError) else InternalError()
        self._errors.count(known.code)
        self._requests.observe((method, status_of(known).name), perf_counter() - started)

    def cancelled(self, method: str, started: float) -> None:
        """Count a call that its caller no longer waits for."""
        self._requests.observe((method, _CANCELLED), perf_counter() - started)
