"""A long, mild load on REST, GraphQL and gRPC while shares and aliases move, and what memory does meanwhile."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.harness.doors import Door, PathDoor
from benchmarks.harness.memory_slope import Slope, fit_slope, sample_memory
from benchmarks.harness.paced_load import PacedLoad, Tally
from benchmarks.harness.requests import fake_requests
from benchmarks.harness.services import Services

_SAMPLE_SECONDS = 10.0
_SIZES = {1: 0.8, 100: 0.2}  # records in a request: share of the requests
_READS = ("/health", "/metrics", "/models", "/predictions?limit=20", "/drift/employees/history")
_READS_PER_SECOND = 0.5
_CHILD_SAMPLES = 30


@dataclass
class Course:
    """What was seen: samples of memory by process, as (seconds, megabytes), and the moves."""

    samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    rows_stored: float = 0.0
    rows_not_stored: float = 0.0

    def slopes(self, warm_up: float) -> Mapping[str, Slope]:
        """Return the slope of each process that has lived through the time after the warm-up."""
        found = {}
        for name, samples in self.samples.items():
            late = [sample for sample in samples if sample[0] >= warm_up]
            if len(late) >= _CHILD_SAMPLES:
                found[name] = fit_slope([at for at, _ in late], [size for _, size in late])
        return found


def run_mixed(services: Services, move: Callable[[int], str], seconds: float, every: float, rate: float) -> Course:
    """Send `rate` requests a second for some seconds, and move something every few seconds; read what people look at, too."""
    course, end = Course(), threading.Event()
    doors: list[tuple[Callable[[], Door], float]] = []
    for size, share in _SIZES.items():
        doors += [(make, rate * share / 3) for make in services.doors(fake_requests(size)[:50]).values()]
    doors += [(lambda path=path: PathDoor(services.rest_port, path), _READS_PER_SECOND) for path in _READS]  # type: ignore[misc]

    def keep_moving() -> None:
        turn = 0
        while not end.wait(every):
            turn += 1
            course.moves.append(move(turn))

    mover = threading.Thread(target=keep_moving, name="mover")
    start = time.monotonic()
    with PacedLoad(doors, keep_outcomes=False) as load:
        mover.start()
        try:
            while (now := time.monotonic() - start) < seconds:
                for name, memory in _merged(list(sample_memory(services.pids))):
                    course.samples.setdefault(name, []).append((now, memory))
                time.sleep(min(_SAMPLE_SECONDS, max(seconds - now, 0.1)))
        finally:
            end.set()
            mover.join()
    course.tally = load.take()
    for service in services.all:
        metrics = service.metrics()
        course.rows_stored += metrics.get("hearth_predictions_stored_total", 0) + metrics.get("hearth_predictions_waiting", 0)
        course.rows_not_stored += metrics.get("hearth_predictions_not_stored_total", 0)
    return course


def _merged(samples: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Add up samples of one name: several children of one kind."""
    sums: dict[str, float] = {}
    for name, size in samples:
        sums[name] = sums.get(name, 0.0) + size
    return list(sums.items())
