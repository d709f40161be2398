"""Break what alerts are for, and see each fire and resolve: `python -m benchmarks.alert_drill [--only Disk] [--factor 60]`.

A Prometheus of the stack's kind has the stack's rules with shorter times (`deploy.monitoring.fast_rules`). Each alert has to be silent,
to fire with its runbook once its cause is made, to reach Hearth's own list, and to be over once it is mended. Root alone may mount the
small disks that are filled.
"""

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer

from benchmarks.alert_drill import airflow
from benchmarks.alert_drill.cases import CASES
from benchmarks.alert_drill.site import Case, Watched, open_site
from benchmarks.harness.load import LoadError
from benchmarks.harness.small_disks import NoDiskError
from deploy.embedded.launcher import SettingError
from deploy.embedded.prometheus import find_program
from deploy.embedded.temporary_servers import ROOT, ServerStartError
from hearth.cli import values
from hearth.cli.application import CommandError, run_program

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_RUNBOOKS = ROOT / "docs/runbooks.md"
_LOOK_SECONDS = 0.5


class NotAsPromisedError(Exception):
    """An alert did not do what it is for."""


def main(
    only: Annotated[str, typer.Option(help="A part of the names of the alerts that are tried; empty: all.")] = "",
    factor: Annotated[int, values.whole("How much shorter the times of the rules are.")] = 60,
    with_airflow: Annotated[
        bool, typer.Option("--airflow", help="The alerts about DAGs, on an Airflow; it takes minutes to start.")
    ] = False,
    seconds: Annotated[float, values.duration("In which an alert must fire, and be over.")] = 180,
) -> None:
    """Make alerts fire on real processes, and resolve."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    cases = airflow.CASES if with_airflow else CASES
    chosen = [case for case in cases if only.lower() in case.alert.lower()]
    if not chosen:
        raise CommandError(f"No alert has {only!r} in its name; there are: {', '.join(case.alert for case in cases)}.")
    failed = []
    opened: Callable[[Path, Path, float], AbstractContextManager[Watched]] = airflow.open_airflow if with_airflow else open_site
    try:
        program = find_program(ROOT / ".hearth/prometheus", os.environ)
        with tempfile.TemporaryDirectory(prefix="hearth-alerts-") as folder, opened(Path(folder), program, factor) as site:
            print("| alert | broken by | fired after | over after |\n|---|---|---|---|", flush=True)
            for case in chosen:
                try:
                    fired, over = try_out(case, site, seconds)
                    print(f"| {case.alert} | {case.what} | {fired:.0f} s | {over:.0f} s |", flush=True)
                except NotAsPromisedError as error:
                    failed.append(f"{case.alert}: {error}")
                    print(f"| {case.alert} | {case.what} | {error} | |", flush=True)
    except (LoadError, NoDiskError, ServerStartError, SettingError) as error:
        raise CommandError(f"The drill did not come to its end: {error}") from error
    if failed:
        raise CommandError("\n".join(failed))


def try_out(case: Case, site: Watched, seconds: float) -> tuple[float, float]:
    """Break something, see its alert, mend it, and see the end of it; return the seconds until either.

    Raises:
        NotAsPromisedError: the alert was there before, does not fire, has no runbook, is not in Hearth's list, or does not resolve.
    """
    if site.alerts(case.alert):
        raise NotAsPromisedError("it fires although nothing is broken")
    api, start = site.api, time.monotonic()
    with case.broken(site):
        _wait(lambda: bool(site.alerts(case.alert)), seconds, "it does not fire")
        fired = time.monotonic() - start
        require_runbook(site.alerts(case.alert)[0])
        if api is not None and case.alert != "SlowAnswers":  # there REST itself is what is slow
            _wait(lambda: case.alert in _own_alerts(api), seconds, "Hearth's own list does not have it")
    start = time.monotonic()
    _wait(lambda: not site.alerts(case.alert), seconds, "it is not over")
    over = time.monotonic() - start
    return fired, over


def require_runbook(alert: dict[str, Any]) -> None:
    """Check that an alert leads to a paragraph of the runbooks.

    Raises:
        NotAsPromisedError: it does not.
    """
    page, _, anchor = str(alert["annotations"].get("runbook_url", "")).partition("#")
    headings = re.findall(r"^## (.+)$", _RUNBOOKS.read_text("utf-8"), re.MULTILINE)
    if page != "docs/runbooks.md" or anchor not in {heading.lower().replace(" ", "-") for heading in headings}:
        raise NotAsPromisedError(f"its runbook {page}#{anchor} does not exist")


def _own_alerts(api: httpx.Client) -> str:
    return api.get("/alerts", params={"state": "open"}).text


def _wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotAsPromisedError(f"{otherwise} within {seconds:.0f} s")
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    run_program(main)
