"""SIGTERM while a server is away, hangs or is slow: do the services end in their time, and are requests that run finished?"""

import http.client
import json
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.chaos.serving.faults import Fault
from benchmarks.chaos.serving.run import Run
from benchmarks.chaos.serving.site import Site
from benchmarks.harness.doors import FAILURES, describe
from benchmarks.harness.requests import fake_requests
from benchmarks.harness.services import Service

STOP_SECONDS = {"REST": 45.0, "gRPC": 30.0}
"""After which supervisord kills a service: its `stopwaitsecs`; Compose has the same."""
_BEFORE_SECONDS = 2.0
_LARGE, _LARGE_RECORDS = 6, 2_000
_LOOKS = 2
_UNDER_WAY_SECONDS = 0.5
_TIMEOUT_SECONDS = 60.0
_LOST = "predictions were not stored before the end"


@dataclass(frozen=True)
class Ended:
    """How the services ended. `lost` are rows that were answered and are not in the store; `logged` is how many the logs name."""

    fault: str
    seconds: dict[str, float]
    codes: dict[str, int | None]
    under_way: int
    broken: tuple[str, ...]
    lost: int
    logged: int


def end_during(fault: Fault, site: Site, run: Run) -> Ended:
    """Send SIGTERM to both services during a fault, with large requests under way, compare with the store, and start them again."""
    records = [record for records in fake_requests(1_000)[: _LARGE_RECORDS // 1_000] for record in records]
    body = json.dumps({"data": records}).encode()
    marks = {service.name: service.log.stat().st_size for service in site.services.all}
    with run.load() as load, ThreadPoolExecutor(_LARGE + 2) as threads:
        with fault.make(site):
            time.sleep(_BEFORE_SECONDS)
            large = [_LargeRequest(site.services.rest_port, body) for _ in range(_LARGE)]
            for each in large:
                each.begin()
            for _ in range(_LOOKS):  # what came before them is read by then
                site.services.get("/health")
            signalled = time.monotonic()
            ends: dict[str, Future[float]] = {one.name: threads.submit(one.end, signal.SIGTERM) for one in site.services.all}
            time.sleep(_UNDER_WAY_SECONDS)
            answers = [each.result() for each in [threads.submit(one.finish) for one in large]]
            seconds = {name: end.result() for name, end in ends.items()}
        load.stop()
    outcomes = [outcome for outcome in load.take().outcomes if outcome.at < signalled]
    broken = [f"{outcome.door}: {outcome.problem}" for outcome in outcomes if outcome.problem]
    broken += [f"large request: {problem}" for _, problem in answers if problem]
    codes = {service.name: service.code for service in site.services.all}
    answered = {outcome.request_id: outcome.rows for outcome in outcomes if not outcome.problem}
    answered |= {id_: _LARGE_RECORDS for id_, problem in answers if not problem}
    stored = site.stored_rows(list(answered))
    lost = sum(rows - stored.get(id_, 0) for id_, rows in answered.items())
    logged = sum(_count_lost(service, marks[service.name]) for service in site.services.all)
    for service in site.services.all:
        service.start()
    site.services.rest.wait_until(lambda: site.services.answer(site.requests[:1]))
    return Ended(fault.name, seconds, codes, len(answers), tuple(broken), lost, logged)


class _LargeRequest:
    """A request of which the service has the first half when it is told to end."""

    def __init__(self, port: int, body: bytes) -> None:
        self._half = len(body) // 2
        self._body = body
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def begin(self) -> None:
        """Send the headers and the first half of the body."""
        self._connection.putrequest("POST", "/predict")
        self._connection.putheader("content-type", "application/json")
        self._connection.putheader("content-length", str(len(self._body)))
        self._connection.endheaders(self._body[: self._half])

    def finish(self) -> tuple[str, str]:
        """Send the rest; return the id of the answer, or what went wrong."""
        try:
            self._connection.send(self._body[self._half :])
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status != http.client.OK:
                return "", f"{answer.status} {content[:200]!r}"
            return str(json.loads(content)["request_id"]), ""
        except FAILURES as error:
            return "", describe(error)
        finally:
            self._connection.close()


def _count_lost(service: Service, mark: int) -> int:
    """Return how many predictions the log of a service names as lost, since a mark."""
    with service.log.open("rb") as log:
        log.seek(mark)
        lines = log.read().decode("utf-8", "replace").splitlines()
    return sum(int(word) for line in lines if _LOST in line for word in line.partition(_LOST)[0].split()[-1:])


def problems_of(ended: Ended, most_seconds: float | None = None) -> Sequence[str]:
    """Return which promises an end has broken; without `most_seconds` a service may take as long as its supervisor waits."""
    late = [
        f"{name} took {seconds:.1f} s to end" for name, seconds in ended.seconds.items() if seconds > (most_seconds or STOP_SECONDS[name])
    ]
    codes = [f"{name} ended with code {code}" for name, code in ended.codes.items() if code not in {0, -signal.SIGTERM}]
    silent = [f"{ended.lost} predictions are lost, {ended.logged} are logged"] if ended.lost > ended.logged else []
    return [*late, *codes, *ended.broken, *silent]
