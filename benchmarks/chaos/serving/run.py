"""One fault at a time under load: what callers saw, what the store has, and how long it took until all was well."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.chaos.serving.faults import Fault
from benchmarks.chaos.serving.site import Site
from benchmarks.harness.doors import FAILURES, Door, PathDoor, StreamDoor
from benchmarks.harness.paced_load import Outcome, PacedLoad, ask, percentile
from hearth.errors import HearthError

READS = ("/predictions?limit=20", "/models/employees/versions", "/ready")
_READS_PER_SECOND, _STREAM_PER_SECOND, _HEALTH_PER_SECOND = 1.0, 3.0, 20.0
_BEFORE_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_MOST_ROWS = 3  # of a request
_GONE = ("hearth_predictions_store_problem", "hearth_model_follower_problem")
_WAITING, _LOST, _STORED = "hearth_predictions_waiting", "hearth_predictions_not_stored_total", "hearth_predictions_stored_total"


@dataclass(frozen=True)
class Latency:
    """Seconds of answers."""

    count: int
    p50: float
    p99: float
    longest: float
    above: int
    """How many took longer than the aim."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], aim: float) -> "Latency":
        seconds = [outcome.seconds for outcome in outcomes]
        return cls(
            len(seconds),
            percentile(seconds, 0.5),
            percentile(seconds, 0.99),
            max(seconds, default=0.0),
            sum(each > aim for each in seconds),
        )


@dataclass(frozen=True)
class Rows:
    """What the store has of what was answered, in rows."""

    answered: int
    missing: int
    surplus: int
    """More rows than answered records under one id."""
    counted_lost: int
    """By the services' own metric."""
    unknown: int
    """Rows in the store beyond those of answers and of requests that failed for the caller."""


@dataclass(frozen=True)
class Observed:
    """What was seen of a fault; `skipped` says why it was not made."""

    fault: str
    skipped: str = ""
    predictions: Latency = field(default_factory=lambda: Latency(0, 0, 0, 0, 0))
    failures: tuple[str, ...] = ()
    health: Latency = field(default_factory=lambda: Latency(0, 0, 0, 0, 0))
    health_failures: tuple[str, ...] = ()
    others: dict[str, str] = field(default_factory=dict)
    slowest_other: float = 0.0
    recovery: float | None = None
    not_recovered: str = ""
    rows: Rows = field(default_factory=lambda: Rows(0, 0, 0, 0, 0))
    queued: int = 0
    queued_missing: int = 0


class Run:
    """Faults, one after the other, on one site."""

    def __init__(self, site: Site, seconds: float, rate: float, recovery_seconds: float, health_aim: float) -> None:
        self._site, self._seconds, self._rate = site, seconds, rate
        self._recovery_seconds, self._health_aim = recovery_seconds, health_aim
        self._looks: list[Outcome] = []  # requests of our own while we wait

    def observe(self, fault: Fault) -> Observed:
        """Make a fault for some seconds under load, end it, wait until all is well, and compare answers with the store."""
        if why_not := fault.why_not(self._site):
            return Observed(fault.name, skipped=why_not)
        site = self._site
        self._looks = []
        self._wait(lambda: self._problems(_WAITING), time.monotonic())  # what was answered before this fault, at the start above all
        before, rows_before = self._counters(), site.all_rows()
        with ThreadPoolExecutor(1) as mover, self.load() as load, self._side_load() as side, self._health_load() as health:
            time.sleep(_BEFORE_SECONDS)
            with fault.make(site):
                moved = mover.submit(site.move_champion) if fault.registry_answers else None
                time.sleep(self._seconds)
            ended = time.monotonic()
            version = _moved(moved, site)
            recovery, not_recovered = self._wait_until_well(version, ended)
            for each in (load, side, health):
                each.stop()
        outcomes, side_outcomes, health_outcomes = load.take().outcomes, side.take().outcomes, health.take().outcomes
        self._wait(lambda: self._problems(_WAITING), time.monotonic())
        failed = [outcome for outcome in outcomes if outcome.problem]
        answered = [outcome for outcome in (*outcomes, *self._looks) if not outcome.problem]
        queued = [outcome.request_id for outcome in side_outcomes if outcome.door == "/predict_stream" and not outcome.problem]
        others, slowest = _others(side_outcomes)
        return Observed(
            fault.name,
            predictions=Latency.of(outcomes, self._health_aim),
            failures=tuple(f"{outcome.door}: {outcome.problem}" for outcome in failed),
            health=Latency.of(health_outcomes, self._health_aim),
            health_failures=tuple(outcome.problem for outcome in health_outcomes if outcome.problem),
            others=others,
            slowest_other=slowest,
            recovery=recovery,
            not_recovered=not_recovered,
            rows=self._rows(answered, before, rows_before, failed=len(failed)),
            queued=len(queued),
            queued_missing=len(set(queued) - site.stream_ids()) + len(queued) - len(set(queued)),
        )

    def load(self) -> PacedLoad:
        """Return the load of predictions, by two callers a protocol."""
        doors = self._site.services.doors(self._site.requests)
        return PacedLoad([(make, self._rate / len(doors) / 2) for make in doors.values() for _ in range(2)])

    def _side_load(self) -> PacedLoad:
        port = self._site.services.rest_port

        def path(name: str) -> Callable[[], Door]:
            return lambda: PathDoor(port, name)

        reads: list[tuple[Callable[[], Door], float]] = [(path(name), _READS_PER_SECOND) for name in READS]
        return PacedLoad([*reads, (lambda: StreamDoor(port, self._site.requests), _STREAM_PER_SECOND)])

    def _health_load(self) -> PacedLoad:
        return PacedLoad([(lambda: PathDoor(self._site.services.rest_port, "/health"), _HEALTH_PER_SECOND)])

    def _counters(self) -> dict[str, float]:
        scrapes = [service.metrics() for service in self._site.services.all]
        return {name: sum(scrape.get(name, 0.0) for scrape in scrapes) for name in (_LOST, _STORED)}

    def _problems(self, *names: str) -> str:
        """Return which of the services' gauges are not 0, in words."""
        found = []
        for service in self._site.services.all:
            metrics = service.metrics()
            found += [f"{service.name}: {name} is {metrics[name]:g}" for name in names if metrics.get(name)]
        return ", ".join(found)

    def _wait_until_well(self, version: str, since: float) -> tuple[float | None, str]:
        """Wait until every server is used again, nothing waits from the time of the fault, and the moved alias is served."""
        return self._wait(lambda: self._problems(*_GONE) or self._not_ready() or self._other_version(version), since)

    def _wait(self, problem: Callable[[], str], since: float) -> tuple[float | None, str]:
        while found := _checked(problem):
            if time.monotonic() - since > self._recovery_seconds:
                return None, found
            time.sleep(_LOOK_SECONDS)
        return time.monotonic() - since, ""

    def _not_ready(self) -> str:
        status = self._site.services.get("/ready")
        return "" if status == 200 else f"/ready answers {status}"  # noqa: PLR2004 - its status

    def _other_version(self, version: str) -> str:
        for name, make in self._site.services.doors(self._site.requests[:1]).items():
            door = make()
            outcome = ask(door, 0)
            door.close()
            self._looks.append(outcome)
            if outcome.problem or outcome.version != version:
                return f"{name} serves version {outcome.version}, not {version} {outcome.problem}"
        return ""

    def _rows(self, answered: Sequence[Outcome], before: dict[str, float], rows_before: int, failed: int) -> Rows:
        stored = self._site.stored_rows([outcome.request_id for outcome in answered])
        differences = [outcome.rows - stored.get(outcome.request_id, 0) for outcome in answered]
        expected = sum(outcome.rows for outcome in answered)
        unknown = self._site.all_rows() - rows_before - sum(stored.values())
        return Rows(
            expected,
            missing=sum(difference for difference in differences if difference > 0),
            surplus=-sum(difference for difference in differences if difference < 0),
            counted_lost=round(self._counters()[_LOST] - before[_LOST]),
            unknown=max(unknown - _MOST_ROWS * failed, 0),
        )


def _checked(problem: Callable[[], str]) -> str:
    """Return the problem, or why it cannot be told."""
    try:
        return problem()
    except FAILURES as error:
        return f"{type(error).__name__}: {error}"


def _moved(moved: Future[str] | None, site: Site) -> str:
    """Return the version that the alias names now; where the registry did not move it during the fault, it is moved now."""
    if moved is not None:
        try:
            return moved.result()
        except HearthError:
            site.champion -= 1
    return site.move_champion()


def _others(outcomes: Sequence[Outcome]) -> tuple[dict[str, str], float]:
    """Return how other routes answered, in words, and the longest that one took."""
    words: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        word = outcome.problem.removeprefix("RefusedError: ").split(" ")[0].rstrip(":") or "ok"
        words.setdefault(outcome.door.partition("?")[0], Counter())[word] += 1
    longest = max((outcome.seconds for outcome in outcomes), default=0.0)
    return {door: ", ".join(f"{count} {word}" for word, count in counter.most_common()) for door, counter in words.items()}, longest
