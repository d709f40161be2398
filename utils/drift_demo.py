"""Show the closed loop on a running stack: `python -m utils.drift_demo`, which `hearth demo-drift` runs.

Fake records are served and get labels. Then a column changes, and so does what the records turn out to be: the check for drift alarms,
labels show that quality has fallen, the DAG retrain trains again, a canary tries the new version on a share of the requests, and it becomes
champion. Nobody does anything on the way; this program only lets the monitor look more often, and prints what happens.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer
from rich.console import Console

from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.cli.tables import make_console, make_table
from hearth.client import ApiError, Client, NotFound
from hearth.contracts import Contract, load_contract
from hearth.contracts.airflow_names import MONITOR, RETRAIN, dag_id
from hearth.contracts.aliases import CHAMPION
from hearth.errors import HearthError
from hearth.modelling.evaluation import metric
from hearth.predictions.label_store import LabelStore
from hearth.registry import Registry
from utils.airflow_api import FINISHED, AirflowApi, AirflowError, DagRun
from utils.smoke import SmokeSettings

_ROOT = Path(__file__).parents[1]
_CALM_RECORDS = 1_500
_LABELS = 600  # behind each figure
_POLL_SECONDS = 2.0
_STOP_SECONDS = 10.0
_CALM_LEVELS = {"ok", "not_enough"}
_TRAINS = {"running", "deployed", "refused", "failed"}


class LoopFailure(Exception):
    """The loop did not close; the message says where it stopped."""


@dataclass(frozen=True)
class Figure:
    """The metric of labelled answers, and how many they were."""

    value: float
    labels: int
    version: str

    def __str__(self) -> str:
        return f"{self.value:.3f} on {self.labels} labels, version {self.version}"


@dataclass
class Story:
    """What has happened so far, with the seconds since the start."""

    console: Console
    limit: float
    started: float = field(default_factory=time.monotonic)
    lines: list[tuple[float, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def tell(self, text: str) -> None:
        """Print one line, once."""
        if not any(text == line for _, line in self.lines):
            self.lines.append((self.seconds, text))
            self.console.print(f"[dim]{self.seconds:6.1f} s[/dim]  {text}", highlight=False, markup=True)

    def require_time(self, waiting_for: str) -> None:
        """Raise LoopFailure if the time is up."""
        if self.seconds > self.limit:
            raise LoopFailure(
                f"After {self.seconds:.0f} s there is still no {waiting_for}. The page's views Drift and Models show where it stands."
            )


def main(
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The data set; it has a champion.")] = "employees",
    drift: Annotated[str, typer.Option(help="What changes in the records, as the producer takes it (default: a number rises).")] = "",
    concept: Annotated[str, typer.Option(help="What changes in what they turn out to be (default: -0.1, or 30%).")] = "",
    rate: Annotated[float, values.rate("Records a second.")] = 100,
    limit: Annotated[float, values.duration("The loop fails if it has not closed by then.")] = 900,
) -> None:
    """Let fake records drift, and watch the loop close by itself; the exit code is 0 if quality is back."""
    console = make_console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the producer is stopped too
    try:
        settings = SmokeSettings()
        contract = load_contract(dataset, settings.data_dir)
        with (
            AirflowApi(settings.airflow_url, settings.airflow_user, settings.airflow_password.get_secret_value()) as airflow,
            Client(settings.api_url, api_key=settings.key or None) as api,
            LabelStore(settings.predictions_url.get_secret_value(), max_connections=1) as labels,
        ):
            loop = _Loop(contract, Registry.from_settings(settings), airflow, api, labels, Story(console, limit), rate)
            changes = ["--drift", drift or _default_drift(contract), "--concept", concept or ("-0.1" if contract.target.cuts else "30%")]
            figures = loop.run(changes)
    except (LoopFailure, AirflowError, ApiError, HearthError, httpx.HTTPError) as error:
        raise CommandError(f"The loop did not close: {error}") from error
    table = make_table(f"{contract.metric} of what was served, by labels", "when", contract.metric, "labels", "version")
    for when, figure in figures.items():
        table.add_row(when, f"{figure.value:.3f}", f"{figure.labels}", figure.version)
    console.print(table)


def _default_drift(contract: Contract) -> str:
    return f"{contract.numeric_features[-1]}=+1sd"


@dataclass
class _Loop:
    contract: Contract
    registry: Registry
    airflow: AirflowApi
    api: Client
    labels: LabelStore
    story: Story
    rate: float

    @property
    def name(self) -> str:
        return self.contract.name

    def run(self, changes: list[str]) -> dict[str, Figure]:
        """Let the loop close once and return the metric before the drift, under it, and after."""
        before_version = self._champion()
        self.airflow.unpause(dag_id(self.contract, RETRAIN))
        self.story.tell(f"{self.name}: version {before_version} is champion; {_CALM_RECORDS} ordinary records with their labels")
        began = datetime.now(UTC)
        self._produce_calm()
        before = self._figure_since(began, before_version, "labels of ordinary records")
        self.story.tell(f"before: {self.contract.metric} {before}")
        began = datetime.now(UTC)
        with self._producing(changes):
            self.story.tell(f"from now on: {' '.join(changes)}")
            retrained = self._until_retrained(began)
            under = self._figure_since(began, before_version, "labels of changed records", least=1)
            self.story.tell(f"under drift: {self.contract.metric} {under}")
            version = self._until_deployed(began, retrained, before_version)
            after = self._figure_since(datetime.now(UTC), version, "labels of the new champion")
            self.story.tell(f"after: {self.contract.metric} {after}")
        if after.value <= under.value:
            raise LoopFailure(f"version {version} is no better: {after} against {under}")
        return {"before the drift": before, "under the drift": under, "after": after}

    def _champion(self) -> str:
        champion = self.registry.aliases(self.name).get(CHAMPION)
        if champion is None:
            raise LoopFailure(f"{self.name} has no champion yet. Train it first: hearth smoke --dataset {self.name}")
        return champion

    def _until_retrained(self, began: datetime) -> str:
        """Let the monitor look until a retraining has been decided; return its id."""
        look: DagRun | None = None
        while True:
            self.story.require_time("retraining")
            if look is None or self.airflow.run(look.dag_id, look.run_id).state in FINISHED:
                self._tell_levels(began)
                look = self.airflow.trigger(dag_id(self.contract, MONITOR), {})
            tried = self.api.rollouts(self.name).running
            for row in self.api.retrains(self.name).retrains:
                goes_on = row.state == "running" or (tried is not None and tried.version == row.version)  # since before this began
                if (row.last_at or row.decided_at) < began and not goes_on:
                    continue
                self.story.tell(f"retrain: {row.state}: {row.why}")
                if row.state in _TRAINS:
                    return row.id
            time.sleep(_POLL_SECONDS)

    def _tell_levels(self, began: datetime) -> None:
        with contextlib.suppress(NotFound):  # before the first check
            check = self.api.drift(self.name)
            if check.checked_at >= began and check.level not in _CALM_LEVELS:
                columns = ", ".join(column.name for column in check.columns if column.level not in _CALM_LEVELS)
                self.story.tell(f"monitor: {check.level} in {columns}")
        with contextlib.suppress(NotFound):
            quality = self.api.quality(self.name)
            if quality.checked_at >= began and quality.level == "fallen":
                self.story.tell(f"labels: quality has fallen: {quality.summary}")

    def _until_deployed(self, began: datetime, retraining: str, before: str) -> str:
        """Wait until another version is champion, and return it."""
        while True:
            self.story.require_time("new champion")
            row = next(row for row in self.api.retrains(self.name).retrains if row.id == retraining)
            if row.state == "deployed":
                self.story.tell(f"retrain: {row.why}")
            elif row.state != "running":
                raise LoopFailure(f"the retraining is {row.state}: {row.why}")
            rollouts = self.api.rollouts(self.name)
            for rollout in [*([rollouts.running] if rollouts.running else []), *rollouts.ended]:
                if rollout.started_at < began and rollout.version != row.version:
                    continue
                for event in rollout.events:
                    self.story.tell(f"rollout of version {rollout.version}: {event.event} at {event.share:.0%}: {event.reason}")
                if rollout.ended_at and rollout.state != "finished":
                    raise LoopFailure(f"the rollout of version {rollout.version} is {rollout.state}: {rollout.reason}")
            champion = self._champion()
            if champion != before:
                self.story.tell(f"version {champion} is champion")
                return champion
            time.sleep(_POLL_SECONDS)

    def _figure_since(self, since: datetime, version: str, what: str, least: int = _LABELS) -> Figure:
        """Wait until a version has enough labels of records that were scored since a moment, and return its metric on them."""
        while True:
            self.story.require_time(what)
            rows = [row for row in self.labels.labelled(self.name, since=since, version=version) if row.scored_at >= since]
            if len(rows) >= least:
                truth, codes = (np.array([getattr(row, name) for row in rows]) for name in ("truth", "code"))
                return Figure(float(metric(self.contract, truth, codes)), len(rows), version)
            time.sleep(_POLL_SECONDS)

    def _produce_calm(self) -> None:
        command = [*self._producer(), "--records", str(_CALM_RECORDS)]
        ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise LoopFailure(f"the producer ended with code {ended.returncode}: {ended.stderr[-500:]}")

    @contextlib.contextmanager
    def _producing(self, changes: list[str]) -> Iterator[None]:
        """Send records that have changed until the block ends."""
        process = subprocess.Popen([*self._producer(seed=1), *changes], cwd=_ROOT, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _producer(self, seed: int = 0) -> list[str]:
        options = {"dataset": self.name, "alias": CHAMPION, "rate": f"{self.rate:g}", "labels": "1", "label-delay": "2s", "bad-share": "0"}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [sys.executable, "-m", "utils.fake_data_producer", *words, "--seed", str(seed + int(time.time()))]


if __name__ == "__main__":
    run_program(main)
