"""What breaks for each alert, as it would break in a stack, and how its runbook mends it: a context is open while it is broken."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from benchmarks.alert_drill.site import DATASET, DAYS_NEAR, STREAM, Case, Site, write_certificate
from benchmarks.harness.small_disks import filled
from hearth.contracts.aliases import CHAMPION
from hearth.fakes import FakeRecords
from hearth.monitoring.live_quality import Measured, QualityCheck, QualityLevel, Subject, VersionQuality
from hearth.predictions.quality_store import QualityStore
from hearth.predictions.rollout_store import RolloutStore
from hearth.rollouts.start import start_rollout
from hearth.streaming.messages import encode

_CONNECTIONS = 90  # of PostgreSQL's 100
_STALL_SECONDS, _RUN_SECONDS = 0.9, 0.1
_SLOW_STORE_SECONDS = 1.0
_MESSAGES_A_BURST, _BURST_SECONDS = 400, 0.5
_FREE_BYTES = 3_000_000  # of a disk of 60 MB: 5 %


@contextlib.contextmanager
def refused_version(site: Site) -> Iterator[None]:
    """Move an alias to a version without a signature, where signatures are required; move it back."""
    site.registry.set_alias(DATASET, "knn", site.unsigned_version)
    try:
        yield
    finally:
        site.registry.set_alias(DATASET, "knn", site.champion)


@contextlib.contextmanager
def stalled_service(site: Site) -> Iterator[None]:
    """Let REST stand still nine tenths of the time, as a machine that is overloaded does, under requests."""
    with _repeat(lambda: _stall(site.rest.pid)), _asking(site):
        yield


@contextlib.contextmanager
def wrong_labels(site: Site) -> Iterator[None]:
    """Write the check that the monitor writes when labels contradict the champion, and then one that is well."""
    with QualityStore(site.database) as store:
        store.write_check(_check(site, QualityLevel.FALLEN))
        try:
            yield
        finally:
            store.write_check(_check(site, QualityLevel.OK))


@contextlib.contextmanager
def bad_canary(site: Site) -> Iterator[None]:
    """Try a version that the service refuses to load: its rollout is rolled back by itself, and there is nothing to mend."""
    with RolloutStore(site.database) as store:
        start_rollout(site.contract, site.unsigned_version, "a drill", store=store, registry=site.registry, steps=[0.5, 1.0])
    yield


@contextlib.contextmanager
def slow_workers(site: Site) -> Iterator[None]:
    """Send more than a worker stores while its database is slow; then it is as fast as before, and nobody sends."""
    site.to_postgres.delay_seconds = _SLOW_STORE_SECONDS
    records = FakeRecords.load(site.contract).records(200, 1)
    fields = [encode(DATASET, CHAMPION, [record]) for record in records]
    with Redis.from_url(site.redis_url) as redis:

        def send() -> None:
            with redis.pipeline(transaction=False) as pipeline:
                for number in range(_MESSAGES_A_BURST):
                    pipeline.xadd(STREAM, dict(fields[number % len(fields)]))
                pipeline.execute()
            time.sleep(_BURST_SECONDS)

        try:
            with _repeat(send):
                yield
        finally:
            site.to_postgres.delay_seconds = 0.0


@contextlib.contextmanager
def full_state_disk(site: Site) -> Iterator[None]:
    """Leave five percent of the disk that holds the stack's files."""
    with filled(site.state_disk, _FREE_BYTES):
        yield


@contextlib.contextmanager
def many_connections(site: Site) -> Iterator[None]:
    """Open connections to PostgreSQL and keep them, as forgotten programs do."""
    with contextlib.ExitStack() as stack:
        for _ in range(_CONNECTIONS):
            try:
                stack.enter_context(psycopg.connect(site.database))
            except psycopg.OperationalError:  # all are taken
                break
        yield


@contextlib.contextmanager
def full_valkey_disk(site: Site) -> Iterator[None]:
    """Fill the disk of Valkey's file, and go on writing."""
    with Redis.from_url(site.redis_url) as redis, filled(site.valkey_disk):

        def write() -> None:
            with contextlib.suppress(RedisError):  # refused, once it has seen that it cannot write
                redis.set("drill", b"0" * 100_000)
            time.sleep(0.2)

        with _repeat(write):
            yield


@contextlib.contextmanager
def deaf_receiver(site: Site) -> Iterator[None]:
    """Report an alert, which goes to a webhook where nobody is, and let a day pass; the new ones have their day still."""
    at = datetime.now(UTC).isoformat()
    report = {"labels": {"alertname": "Drill", "severity": "warning"}, "annotations": {"summary": "A drill"}, "startsAt": at}
    assert site.api is not None  # noqa: S101 - REST runs here
    site.api.post("/api/v2/alerts", json=[report]).raise_for_status()
    deadline = time.monotonic() + 60
    while not site.execute("SELECT 1 FROM alert_deliveries WHERE attempts > 0") and time.monotonic() < deadline:
        time.sleep(0.5)
    site.execute("UPDATE alert_events SET at = at - interval '25 hours'")
    yield


@contextlib.contextmanager
def old_certificate(site: Site) -> Iterator[None]:
    """Let a certificate end in ten days, and renew it."""
    write_certificate(site.certificate, DAYS_NEAR)
    try:
        yield
    finally:
        write_certificate(site.certificate, 90)


CASES: Sequence[Case] = (
    Case("CertificateExpires", old_certificate, "a certificate of ten days"),
    Case("DiskFills", full_state_disk, "a disk of 60 MB filled but for 5 %"),
    Case("ConnectionsRunOut", many_connections, "90 connections kept open"),
    Case("AliasProblem", refused_version, "an alias moved to an unsigned version"),
    Case("QualityFell", wrong_labels, "a check that says fallen in the store"),
    Case("CanaryRolledBack", bad_canary, "a rollout of an unsigned version"),
    Case("AlertsNotSent", deaf_receiver, "a webhook where nobody is, and events of yesterday"),
    Case("SlowAnswers", stalled_service, "REST stopped nine tenths of the time"),
    Case("StreamLagGrows", slow_workers, "a database that answers a second late, 800 messages a second"),
    Case("StreamServerCannotWrite", full_valkey_disk, "Valkey's disk full"),
)


@contextlib.contextmanager
def _repeat(action: Callable[[], None]) -> Iterator[None]:
    """Do something over and over in a thread; what it raises is raised at the end."""
    over = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            while not over.is_set():
                action()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failed:
        raise failed[0]


@contextlib.contextmanager
def _asking(site: Site) -> Iterator[None]:
    api, turns = site.api, iter(range(10**9))
    assert api is not None  # noqa: S101 - REST runs here

    def ask() -> None:
        body = {"data": list(site.requests[next(turns) % len(site.requests)])}
        api.post("/predict", json=body).raise_for_status()

    with _repeat(ask):
        yield


def _stall(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(_STALL_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)
    time.sleep(_RUN_SECONDS)


def _check(site: Site, level: QualityLevel) -> QualityCheck:
    champion = VersionQuality(site.champion, Subject.CHAMPION, Measured(900, None, None, None))
    return QualityCheck(
        dataset=DATASET,
        checked_at=datetime.now(UTC),
        metric=site.contract.metric,
        version=site.champion,
        level=level,
        days=site.contract.quality.days,
        minimum=site.contract.quality.minimum,
        labels=900,
        delay_seconds=None,
        classes=site.contract.target.classes,
        versions=(champion,),
    )
