"""The faults: what each does to the site, and how it is ended. One runs at a time."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import psutil
from redis import Redis

from benchmarks.chaos.serving.site import MLFLOW, POSTGRES, S3, VALKEY, Site
from benchmarks.harness.small_disks import filled

SLOW_SECONDS = 2.0
HOUR = 3_600
_CHILD_KILL_SECONDS = 1.0
_WRITER = "hearth.serving.recording.writer"
_TITLES = {POSTGRES: "PostgreSQL", VALKEY: "Valkey", MLFLOW: "MLflow", S3: "S3"}
_STOP = {POSTGRES: signal.SIGINT, VALKEY: signal.SIGTERM, MLFLOW: signal.SIGTERM, S3: signal.SIGKILL}


@dataclass(frozen=True)
class Fault:
    """`make` holds the fault while its context is open. `registry_answers`: aliases can be moved meanwhile."""

    name: str
    make: Callable[[Site], contextlib.AbstractContextManager[None]]
    registry_answers: bool = True
    unless: Callable[[Site], str] = lambda _: ""

    def why_not(self, site: Site) -> str:
        """Return why the fault cannot be made here; empty if it can."""
        return self.unless(site)


@contextlib.contextmanager
def nothing(_: Site) -> Iterator[None]:
    """Break nothing: what the faults are compared with."""
    yield


NOTHING = Fault("nothing is broken", nothing)


def all_faults() -> Sequence[Fault]:
    """Return the faults, in the order of the table."""
    faults = [NOTHING]
    for server, title in _TITLES.items():
        registry_answers = server != MLFLOW
        faults.append(Fault(f"{title} stopped", partial(stopped, server), registry_answers))
        faults.append(Fault(f"{title} hung", partial(hung, server), registry_answers))
        faults.append(Fault(f"{title} slow", partial(slow, server)))
    faults += [
        Fault("PostgreSQL full", partial(full_disk, POSTGRES), unless=lambda site: site.why_not.get(POSTGRES, "")),
        Fault("S3 full", partial(full_disk, S3), unless=lambda site: site.why_not.get(S3, "")),
        Fault("Valkey full", full_valkey),
        Fault("clock an hour ahead", partial(stepped_clock, HOUR), unless=lambda site: site.clock.why_not),
        Fault("clock an hour back", partial(stepped_clock, -HOUR), unless=lambda site: site.clock.why_not),
        Fault("writers killed every second", killed_writers),
        Fault("writers hung", hung_writers),
    ]
    return faults


@contextlib.contextmanager
def stopped(server: str, site: Site) -> Iterator[None]:
    """Stop a server, and start it again."""
    site.servers[server].stop(_STOP[server])
    try:
        yield
    finally:
        site.servers[server].start()


@contextlib.contextmanager
def hung(server: str, site: Site) -> Iterator[None]:
    """Let a server stand still, with all its processes: connections stay, and nothing answers."""
    leader = psutil.Process(site.servers[server].pid)
    with suspended([leader, *leader.children(recursive=True)]):
        yield


@contextlib.contextmanager
def slow(server: str, site: Site) -> Iterator[None]:
    """Let each answer of a server come two seconds later."""
    site.proxies[server].delay_seconds = SLOW_SECONDS
    try:
        yield
    finally:
        site.proxies[server].delay_seconds = 0.0


@contextlib.contextmanager
def full_disk(server: str, site: Site) -> Iterator[None]:
    """Fill a server's small disk, and free it. A server that has ended over it is started again, as a supervisor does."""
    try:
        with filled(site.disks[server]):
            yield
    finally:
        if not site.servers[server].is_running:
            site.servers[server].start()


@contextlib.contextmanager
def full_valkey(site: Site) -> Iterator[None]:
    """Let Valkey take no byte more than it has: what writes is refused."""
    with Redis.from_url(site.redis_url) as redis:
        redis.config_set("maxmemory", 1)
        try:
            yield
        finally:
            redis.config_set("maxmemory", 0)


@contextlib.contextmanager
def stepped_clock(seconds: int, site: Site) -> Iterator[None]:
    """Step the clock of the services, and step it back."""
    site.clock.step(seconds)
    try:
        yield
    finally:
        site.clock.step(0)


@contextlib.contextmanager
def killed_writers(site: Site) -> Iterator[None]:
    """Kill the processes that store predictions, every second."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(_CHILD_KILL_SECONDS):
            for process in writers(site):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    thread = threading.Thread(target=kill, name="killer")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def hung_writers(site: Site) -> Iterator[None]:
    """Let the processes that store predictions stand still; those that replace them run."""
    with suspended(writers(site)):
        yield


def writers(site: Site) -> list[psutil.Process]:
    """Return the processes that store predictions for the services."""
    children = [child for service in site.services.all for child in psutil.Process(service.pid).children(recursive=True)]
    found = []
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            if _WRITER in child.cmdline():
                found.append(child)
    return found


@contextlib.contextmanager
def suspended(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Stop processes without ending them, and let them go on."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
