"""Fault test of the services: `python -m benchmarks.chaos.serving [--seconds 20] [--rate 150] [--only PostgreSQL] …`.

REST, GraphQL and gRPC answer a load at a rate while one server after the other is stopped, stands still, is slow or is full, the clock is
stepped, and the processes that store predictions are killed. Requests are counted in Valkey, so that it too stands in their way. Then the
services are told to end while servers are broken. docs/faults.md has the promises and what was measured.
"""

import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.chaos.serving.ending import Ended, end_during
from benchmarks.chaos.serving.ending import problems_of as problems_of_end
from benchmarks.chaos.serving.faults import NOTHING, all_faults
from benchmarks.chaos.serving.run import Observed, Run
from benchmarks.chaos.serving.site import open_site
from benchmarks.chaos.serving.verdict import problems_of
from benchmarks.harness.load import LoadError
from deploy.embedded.temporary_servers import ServerStartError
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.cli.tables import make_console

_HEALTH_AIM = 0.2
_ENDINGS = (
    NOTHING.name,
    "PostgreSQL stopped",
    "PostgreSQL hung",
    "PostgreSQL slow",
    "Valkey hung",
    "MLflow hung",
    "S3 hung",
    "writers hung",
)


def main(  # noqa: PLR0913, PLR0917 - each is an option
    seconds: Annotated[float, values.duration("Of each fault.")] = 20,
    rate: Annotated[int, values.whole("Predictions a second, by all three protocols.")] = 150,
    recovery: Annotated[float, values.duration("In which all must be well again.")] = 90,
    health_share: Annotated[float, values.share("Answers of /health that may take longer than 200 ms.")] = 0.01,
    only: Annotated[str, typer.Option(help="A part of the names of the faults that are made; empty: all.")] = "",
    endings: Annotated[bool, typer.Option(help="Also send SIGTERM while servers are broken.")] = True,
    logs: Annotated[Path | None, typer.Option(help="The folder for the services' logs (default: a temporary one).")] = None,
) -> None:
    """Break what the services need, one thing at a time, under load, and check what is promised."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    console = make_console()
    folder = logs or Path(tempfile.mkdtemp(prefix="hearth-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    faults = [fault for fault in all_faults() if only.lower() in fault.name.lower()]
    if not faults:
        raise CommandError(f"No fault has {only!r} in its name; there are: {', '.join(fault.name for fault in all_faults())}.")
    broken: list[str] = []
    try:
        with open_site(folder, small_disks=True, with_clock=True) as site:
            run = Run(site, seconds, rate, recovery, _HEALTH_AIM)
            console.print(_HEAD)
            for fault in faults:
                observed = run.observe(fault)
                broken += _print(console, observed, problems_of(observed, health_share))
            if endings:
                console.print(_END_HEAD)
                for fault in (fault for fault in faults if fault.name in _ENDINGS):
                    ended = end_during(fault, site, run)
                    broken += _print_end(console, ended)
    except (LoadError, ServerStartError) as error:
        raise CommandError(f"The run did not come to its end: {error}. Logs: {folder}") from error
    if broken:
        raise CommandError("\n".join(["Promises were broken:", *broken, f"Logs: {folder}"]))
    console.print("Every promise was kept.")
    if not logs:
        shutil.rmtree(folder)


_HEAD = (
    "| fault | predictions, failed | p99, slowest | /health p50, p99, longest ms; above 200 | stored, lost | well after | other routes |\n"
    "|---|---|---|---|---|---|---|"
)
_END_HEAD = "\n| SIGTERM while | REST, gRPC ended after, code | large requests under way, broken | lost, logged |\n|---|---|---|---|"


def _print(console: Console, seen: Observed, problems: Sequence[str]) -> list[str]:
    if seen.skipped:
        _line(console, f"| {seen.fault} | not made: {seen.skipped} | | | | | |")
        return []
    health, asked = seen.health, seen.predictions
    recovery = f"{seen.recovery:.1f} s" if seen.recovery is not None else f"never: {seen.not_recovered}"
    others = "; ".join(f"{door}: {words}" for door, words in sorted(seen.others.items()))
    _line(
        console,
        f"| {seen.fault} | {asked.count:,}, {len(seen.failures)} | {asked.p99 * 1e3:.0f} ms, {asked.longest:.2f} s"
        f" | {health.p50 * 1e3:.0f}, {health.p99 * 1e3:.0f}, {health.longest * 1e3:.0f}; {health.above} of {health.count}"
        f" | {seen.rows.answered - seen.rows.missing:,}, {seen.rows.missing} | {recovery} | {others}; slowest {seen.slowest_other:.1f} s |",
    )
    return [f"{seen.fault}: {problem}" for problem in problems]


def _print_end(console: Console, ended: Ended) -> list[str]:
    times = ", ".join(f"{name} {seconds:.1f} s ({ended.codes[name]})" for name, seconds in ended.seconds.items())
    _line(console, f"| {ended.fault} | {times} | {ended.under_way}, {len(ended.broken)} | {ended.lost}, {ended.logged} |")
    return [f"SIGTERM, {ended.fault}: {problem}" for problem in problems_of_end(ended)]


def _line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)


if __name__ == "__main__":
    run_program(main)
