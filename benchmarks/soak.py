"""Two minutes of load on the REST service while its alias moves every five seconds: `make bench-soak`.

With `--canary` the share of a candidate moves instead.

No request may fail, every version must appear in the answers, and memory must not grow in the second half; else the exit code is 1.

`--mixed` is for an hour: REST, GraphQL and gRPC at a rate of `--rate` requests a second in all, which leaves the machine to others, and
the slope of memory for each process, in MB an hour with its 95 % interval, after a warm-up of a quarter of the time. The aim is 5 MB/h: a
slope whose whole interval lies above it fails. It needs no wrk.
"""

import contextlib
import json
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib import request

import typer

from benchmarks.harness.contenders import Running, contenders, plain, running
from benchmarks.harness.load import Load, LoadError, find_wrk, measure
from benchmarks.harness.mixed_soak import Course, run_mixed
from benchmarks.harness.model import DATA, fitted, register, rows, signing_registry
from benchmarks.harness.requests import fake_requests
from benchmarks.harness.services import running_services
from benchmarks.harness.stack import memory_megabytes, servers
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.contracts import load_contract
from hearth.contracts.aliases import CANARY, CHAMPION
from hearth.registry import Registry, Traffic

_SHARES = (0.05, 0.25, 1.0, 0.0)  # of a candidate, one after the other
_POLL_SECONDS = 1.0
_WARM_UP = 0.25  # of the time of --mixed
_MOST_MEGABYTES_AN_HOUR = 5.0
_MAX_GROWTH = 1.1  # of memory, from half-time to the end


@dataclass
class Observations:
    """Observations from outside during the load."""

    moves: list[str] = field(default_factory=list)
    answered_by: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)


def main(
    seconds: Annotated[float, values.duration("Of load.")] = 120,
    every: Annotated[float, values.duration("Between two moves of the alias.")] = 5,
    canary: Annotated[bool, typer.Option("--canary", help="Move the share of a candidate instead of the alias.")] = False,
    mixed: Annotated[bool, typer.Option("--mixed", help="A mild load on REST, GraphQL and gRPC, and the slope of memory.")] = False,
    rate: Annotated[int, values.whole("Requests a second of --mixed, by all protocols.")] = 100,
) -> None:
    """Put load on REST while the alias, or the share of a candidate, moves, and judge answers and memory."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    try:
        if mixed:
            raise typer.Exit(_mixed(seconds, every, rate, canary=canary))
        find_wrk()
        with tempfile.TemporaryDirectory(prefix="hearth-soak-") as folder, contextlib.ExitStack() as stack:
            settings, uri = servers(stack)
            registry = signing_registry(uri)
            versions = _versions(registry)
            (hearth,) = [contender for contender in contenders(Path(folder), uri, settings) if contender.name == "Hearth"]
            service = stack.enter_context(running(hearth, fake_requests(1)[0]))
            move = _canary(registry, versions) if canary else _alias(registry, versions)
            load, observations = _soak(service, move, seconds, every)
    except LoadError as error:
        raise CommandError(str(error)) from error
    raise typer.Exit(_judge(load, observations, versions, seconds))


def _mixed(seconds: float, every: float, rate: int, *, canary: bool) -> int:
    requests = fake_requests(1)[:1]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hearth-soak-")))
        settings, uri = servers(stack)
        registry = signing_registry(uri)
        versions = _versions(registry)
        services = stack.enter_context(running_services(settings, folder, requests))
        move = _canary(registry, versions) if canary else _alias(registry, versions)
        return _judge_mixed(run_mixed(services, move, seconds, every, rate), versions, seconds)


def _judge_mixed(course: Course, versions: list[str], seconds: float) -> int:
    tally = course.tally
    print(f"{tally.sent:,} requests in {seconds:,.0f} s, {tally.failed} failed; slowest {tally.slowest:.2f} s.")
    for failure in tally.failures[:10]:
        print(f"  {failure.door}: {failure.problem}")
    print(f"Alias or share moved {len(course.moves)} times; answers by version: {dict(sorted(tally.versions.items()))}.")
    print(f"Predictions stored or waiting: {course.rows_stored:,.0f}; not stored: {course.rows_not_stored:,.0f}.")
    grows = []
    for name, slope in sorted(course.slopes(seconds * _WARM_UP).items()):
        print(f"{name}: {slope.first:.1f} to {slope.last:.1f} MB, {slope.per_hour:+.1f} MB/h ({slope.low:+.1f} to {slope.high:+.1f})")
        if slope.low > _MOST_MEGABYTES_AN_HOUR:
            grows.append(name)
    if grows:
        print(f"Memory grows by more than {_MOST_MEGABYTES_AN_HOUR:g} MB/h: {', '.join(grows)}.", file=sys.stderr)
    if missing := set(versions) - set(tally.versions):
        print(f"Not every version answered: {sorted(missing)} did not.", file=sys.stderr)
    return int(bool(tally.failed or grows or missing))


def _versions(registry: Registry) -> list[str]:
    """Register two different versions and return them; the last one is the champion."""
    contract = load_contract("employees", DATA)
    X, y = rows(contract, 6_000)
    return [
        register(registry, contract, "lightgbm", fitted(contract, "lightgbm", X[part], y[part]), X)
        for part in (slice(3_000), slice(3_000, None))
    ]


def _alias(registry: Registry, versions: list[str]) -> Callable[[int], str]:
    """Return what moves the champion at each turn, and says where to."""

    def move(turn: int) -> str:
        version = versions[turn % len(versions)]
        registry.set_alias("employees", CHAMPION, version)
        return version

    return move


def _canary(registry: Registry, versions: list[str]) -> Callable[[int], str]:
    """Return what gives the first version another share of the requests of the last one, which is champion, at each turn."""
    registry.set_alias("employees", CANARY, versions[0])

    def move(turn: int) -> str:
        share = _SHARES[turn % len(_SHARES)]
        registry.set_traffic("employees", Traffic(rollout="soak", version=versions[0], champion=versions[-1], share=share))
        return f"{share:.0%}"

    return move


def _soak(service: Running, move_once: Callable[[int], str], seconds: float, every: float) -> tuple[Load, Observations]:
    observations, end = Observations(), threading.Event()
    bodies = [plain(records) for size in (1, 100, 1_000) for records in fake_requests(size)[:5]]

    def move() -> None:
        turn = 0
        while not end.wait(every):
            turn += 1
            observations.moves.append(move_once(turn))

    def observe() -> None:
        while not end.wait(_POLL_SECONDS):
            with request.urlopen(request.Request(service.url, bodies[0], {"content-type": "application/json"}), timeout=30) as answer:  # noqa: S310
                observations.answered_by[json.load(answer)["version"]] += 1
            observations.memory.append(memory_megabytes(service.pid))

    threads = [threading.Thread(target=job) for job in (move, observe)]
    for thread in threads:
        thread.start()
    try:
        return measure(service.url, bodies, seconds), observations
    finally:
        end.set()
        for thread in threads:
            thread.join()


def _judge(load: Load, observations: Observations, versions: list[str], seconds: float) -> int:
    memory = observations.memory
    half, end = memory[len(memory) // 2], memory[-1]
    print(f"{load.per_second * seconds:,.0f} requests of 1, 100 and 1,000 records in {seconds:.0f} s: none failed.")
    print(f"Latency: p50 {load.p50:.1f} ms, p99 {load.p99:.1f} ms.")
    print(
        f"Alias or share moved {len(observations.moves)} times; "
        f"sampled answers by version: {dict(sorted(observations.answered_by.items()))}."
    )
    print(f"Memory: {memory[0]:.0f} MB at first, {half:.0f} MB at half-time, {end:.0f} MB at the end.")
    if set(observations.answered_by) != set(versions):
        print(f"Not every version answered: {versions} were champion.", file=sys.stderr)
        return 1
    if end > half * _MAX_GROWTH:
        print("Memory grows.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run_program(main)
