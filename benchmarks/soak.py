"""Two minutes of load on the REST service while its alias moves every five seconds: `make bench-soak`.

Nothing may fail, every version that was named has to be seen in the answers, and memory has to stay flat after the first half. Ends with 1
if not.
"""

import contextlib
import json
import signal
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib import request

import typer

from benchmarks.harness.contenders import Running, contenders, plain, running
from benchmarks.harness.load import Load, LoadError, measure
from benchmarks.harness.model import DATA, fitted, register, rows
from benchmarks.harness.requests import fake_requests
from benchmarks.harness.stack import memory_megabytes, servers
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.contracts import load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.registry import Registry

_POLL_SECONDS = 1.0
_GROWTH = 1.1  # memory may be so much larger at the end than at half-time


@dataclass
class Seen:
    """What was seen from outside while the load was on."""

    moved: list[str] = field(default_factory=list)
    answered_by: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)


def main(
    seconds: Annotated[float, values.duration("Of load.")] = 120,
    every: Annotated[float, values.duration("Between two moves of the alias.")] = 5,
) -> None:
    """Put load on REST while the alias moves, and judge answers and memory."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # then what was started is stopped too
    try:
        with tempfile.TemporaryDirectory(prefix="hearth-soak-") as folder, contextlib.ExitStack() as stack:
            settings, uri = servers(stack)
            registry = Registry(uri)
            versions = _versions(registry)
            (hearth,) = [found for found in contenders(Path(folder), uri, settings) if found.name == "Hearth"]
            service = stack.enter_context(running(hearth, fake_requests(1)[0]))
            load, seen = _soak(service, registry, versions, seconds, every)
    except LoadError as error:
        raise CommandError(str(error)) from error
    raise typer.Exit(_judge(load, seen, versions, seconds))


def _versions(registry: Registry) -> list[str]:
    """Register two versions that differ and return them; champion carries the last."""
    contract = load_contract("employees", DATA)
    X, y = rows(contract, 6_000)
    return [
        register(registry, contract, "lightgbm", fitted(contract, "lightgbm", X[part], y[part]), X)
        for part in (slice(3_000), slice(3_000, None))
    ]


def _soak(service: Running, registry: Registry, versions: list[str], seconds: float, every: float) -> tuple[Load, Seen]:
    seen, ended = Seen(), threading.Event()
    bodies = [plain(records) for size in (1, 100, 1_000) for records in fake_requests(size)[:5]]

    def move() -> None:
        turn = 0
        while not ended.wait(every):
            turn += 1
            version = versions[turn % len(versions)]
            registry.set_alias("employees", CHAMPION, version)
            seen.moved.append(version)

    def look() -> None:
        while not ended.wait(_POLL_SECONDS):
            with request.urlopen(request.Request(service.url, bodies[0], {"content-type": "application/json"}), timeout=30) as answer:  # noqa: S310
                seen.answered_by[json.load(answer)["version"]] += 1
            seen.memory.append(memory_megabytes(service.pid))

    threads = [threading.Thread(target=job) for job in (move, look)]
    for thread in threads:
        thread.start()
    try:
        return measure(service.url, bodies, seconds), seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _judge(load: Load, seen: Seen, versions: list[str], seconds: float) -> int:
    half, end = seen.memory[len(seen.memory) // 2], seen.memory[-1]
    print(f"{load.per_second * seconds:,.0f} requests of 1, 100 and 1,000 records in {seconds:.0f} s: none failed.")
    print(f"Latency: p50 {load.p50:.1f} ms, p99 {load.p99:.1f} ms.")
    print(f"The alias moved {len(seen.moved)} times; answers looked at by version: {dict(sorted(seen.answered_by.items()))}.")
    print(f"Memory: {seen.memory[0]:.0f} MB at first, {half:.0f} MB at half-time, {end:.0f} MB at the end.")
    if set(seen.answered_by) != set(versions):
        print(f"Not every version was seen: {versions} were named.", file=sys.stderr)
        return 1
    if end > half * _GROWTH:
        print("Memory grows.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run_program(main)
