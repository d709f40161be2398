"""Metrics of the servers that are not ours, for Prometheus: `python -m deploy.monitoring.exporter`.

It asks PostgreSQL, Valkey, the object store, MLflow, Airflow and the disk every few seconds, each in a thread of its own, and serves what
it found last. So a scrape never waits, and a server that hangs costs nobody else a figure. docs/metrics.md lists the metrics, ADR 28 says
why there is one exporter of our own.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deploy.monitoring.gauges import Reading, families
from deploy.monitoring.probes import FAILURES, Probe, probes_of
from hearth.errors import HearthError
from hearth.logs import configure_logging
from hearth.periodic import PeriodicThread
from hearth.settings import ExporterSettings

logger = logging.getLogger("exporter")


class Watch:
    """One probe that is repeated, and what it returned last; while it fails there is only `hearth_server_up 0`."""

    def __init__(self, server: str, probe: Probe) -> None:
        self.server, self._probe = server, probe
        self._readings: Sequence[Reading] = ()
        self._problem = ""

    def look(self) -> None:
        """Ask the server once; an outage is logged when it begins and when it ends.

        An error that is none of `FAILURES` is raised: the server counts as away then, too, for what it said before may hold no more.
        """
        start = time.perf_counter()
        found: list[Reading] = []
        problem = "an error that nobody expected"
        try:
            found, problem = list(self._probe()), ""
        except FAILURES as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            found.append(Reading("hearth_server_up", float(not problem), (self.server,)))
            found.append(Reading("hearth_server_check_seconds", time.perf_counter() - start, (self.server,)))
            if bool(problem) != bool(self._problem):
                logger.log(logging.WARNING if problem else logging.INFO, "%s: %s", self.server, problem or "answers again")
            self._readings, self._problem = found, problem

    def readings(self) -> Sequence[Reading]:
        """Return what the last look found; nothing before the first."""
        return self._readings


class WatchCollector(Collector):
    """The newest readings of all watches."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches

    def collect(self) -> Iterator[Metric]:
        return families(reading for watch in self._watches for reading in watch.readings())

    def describe(self) -> list[Metric]:
        """Return nothing: nothing is known before the first look."""
        return []


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    configure_logging("exporter")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = ExporterSettings()
        watches = [Watch(server, probe) for server, probe in probes_of(settings, Path(os.environ.get("HEARTH_STATE_DIR", "/"))).items()]
        registry = CollectorRegistry()  # hearth.serving has all of this, and takes 300 MB more
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(WatchCollector(watches))
        server, thread = start_http_server(settings.exporter_port, settings.exporter_host, registry)
    except HearthError as error:
        logger.critical("%s", error)
        return 1
    except OSError as error:
        logger.critical("Metrics cannot be served on %s:%s: %s", settings.exporter_host, settings.exporter_port, error)
        return 1
    for watch in watches:  # none is waited for at the end: a probe that hangs in a server must not keep the process
        name = f"watch of {watch.server}"
        PeriodicThread(watch.look, name, settings.exporter_seconds, trouble=f"the {name} failed", stopping=stop).start()
    stop.wait()
    server.shutdown()
    thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
