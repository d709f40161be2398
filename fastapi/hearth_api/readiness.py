"""Whether the servers that the service needs answer. All are checked at once, and none is waited for longer than two seconds."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from hearth import storage
from hearth.errors import HearthError
from hearth.predictions import PredictionStore
from hearth.registry import Registry
from hearth.settings import ApiSettings
from hearth.streaming.client import StreamWriter

_LOGGER = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 2.0

Check = Callable[[], None]
"""Returns if a server answers, and raises what is wrong if it does not."""


@dataclass(frozen=True)
class CheckResult:
    """The state of a server; `problem` is empty if it answers."""

    problem: str
    milliseconds: float


class Dependencies:
    """The servers that the service needs, by name. While a check of a server runs, no second one is started."""

    def __init__(self, checks: Mapping[str, Check], addresses: Mapping[str, str]) -> None:
        self._checks = dict(checks)
        self.addresses = addresses
        self._results: dict[str, Future[CheckResult]] = {}

    async def check(self) -> dict[str, CheckResult]:
        """Check all servers and return the result of each, after two seconds at most."""
        for name, check in self._checks.items():
            if name not in self._results or self._results[name].done():
                self._results[name] = _in_background(name, check)
        pending = [asyncio.wrap_future(result) for result in self._results.values()]
        if pending:
            await asyncio.wait(pending, timeout=_TIMEOUT_SECONDS)
        late = CheckResult(f"no answer within {_TIMEOUT_SECONDS:g} seconds", _TIMEOUT_SECONDS * 1000)
        return {name: result.result() if result.done() else late for name, result in self._results.items()}


def default_checks(settings: ApiSettings, store: PredictionStore, stream: StreamWriter) -> dict[str, Check]:
    """Return a check for each server that the settings name."""
    registry = Registry.from_settings(settings)
    return {
        "mlflow": lambda: registry.ping(_TIMEOUT_SECONDS),
        "s3": lambda: storage.ping(settings.s3_endpoint_url, _TIMEOUT_SECONDS),
        "redis": stream.ping,
        "postgresql": store.ping,
    }


def server_addresses(settings: ApiSettings, store: PredictionStore, stream: StreamWriter) -> dict[str, str]:
    """Return the address of each server, without user and password."""
    return {"mlflow": settings.mlflow_tracking_uri, "s3": settings.s3_endpoint_url, "redis": stream.place, "postgresql": store.place}


def _in_background(name: str, check: Check) -> "Future[CheckResult]":
    """Run a check in a thread that does not delay the end of the process."""
    result: Future[CheckResult] = Future()

    def run() -> None:
        problem, start = "", time.perf_counter()
        try:
            check()
        except HearthError as error:
            problem = str(error)
        except Exception as error:  # a check that fails otherwise leaves the state of its server unknown
            _LOGGER.exception("the check of %s failed", name)
            problem = f"unknown: the check failed with {type(error).__name__}"
        result.set_result(CheckResult(problem, round((time.perf_counter() - start) * 1000, 1)))

    threading.Thread(target=run, name=f"check-{name}", daemon=True).start()
    return result
