"""Metrics of calls. A message of a stream counts as a call: it has a response and a latency of its own."""

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
        """Count a call that succeeded; `started` is the `perf_counter` of its start."""
        self._requests.observe((method, _OK), perf_counter() - started)

    def failed(self, method: str, started: float, error: Exception) -> None:
        """Count a call that ended with an error."""
        counted = error if isinstance(error, HearthError) else InternalError()
        self._errors.count(counted.code)
        self._requests.observe((method, status_of(counted).name), perf_counter() - started)

    def cancelled(self, method: str, started: float) -> None:
        """Count a call that its caller cancelled."""
        self._requests.observe((method, _CANCELLED), perf_counter() - started)
