"""An HTTP API that hands out generated data in batches, for data sets that come from one: `python utils/batch_api.py`.

Serves every data set with a source of this kind, under the path that its contract names:

    GET <path>?group_number=1     {"group_number": 1, "batch_number": 3, "generated": true, "data": [["2596", "51", …], …]}

The first request of a group gets batch 1. A request gets the next batch HEARTH_BATCH_API_SECONDS after the first request of the
present one, and the present one until then. After the time of the last batch, the answer is 400.
`GET /restart_data_generation?group_number=1` starts again with batch 1. The same seed makes the same batches; progress is kept in memory.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import typer
import uvicorn
from fastapi import FastAPI, HTTPException, Query

from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.contracts import Contract, list_contracts
from hearth.contracts.model import BatchSource
from hearth.errors import HearthError
from hearth.fakes import DEMO_SEED, FakeRecords
from hearth.logs import configure_logging
from hearth.settings import BatchApiSettings

_REFUSED = 400

GroupNumber = Annotated[int, Query(ge=0, lt=2**31)]
Form = Literal["lists", "objects"]
Rows = list[list[str | None]] | list[dict[str, str | None]]


@dataclass
class Groups:
    """The progress of each group. Threads may share it."""

    batches: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _latest: dict[int, tuple[int, float]] = field(default_factory=dict)  # by group: number and first time of the latest batch
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, group: int) -> int | None:
        """Return the number of the batch for a request of now, from 1; None when there are no more."""
        with self._lock:
            number, since = self._latest.get(group, (0, -np.inf))
            if self.clock() - since < self.seconds:
                return number
            if number == self.batches:
                return None
            self._latest[group] = (number + 1, self.clock())
            return number + 1

    def restart(self, group: int) -> None:
        """Start again with batch 1."""
        with self._lock:
            self._latest.pop(group, None)


@dataclass(frozen=True)
class Generator:
    """The maker of the batches of a data set; all values are texts, as in a file."""

    fakes: FakeRecords
    rows: int
    seed: int
    form: Form

    def batch(self, group: int, number: int) -> Rows:
        """Return a batch; the same numbers give the same batch."""
        own_seed = int(np.random.SeedSequence([self.seed, group, number]).generate_state(1)[0])
        frame = self.fakes.frame(self.rows, own_seed).astype(object)
        pairs = [zip(frame[name], frame[name].isna(), strict=True) for name in frame]
        columns = [[None if missing else str(value) for value, missing in column] for column in pairs]
        lists = [list(row) for row in zip(*columns, strict=True)]
        return lists if self.form == "lists" else [dict(zip(frame.columns, row, strict=True)) for row in lists]


def create_app(contracts: Sequence[Contract], settings: BatchApiSettings, seed: int = DEMO_SEED, form: Form = "lists") -> FastAPI:
    """Make the service.

    Raises:
        ValueError: two data sets come from the same path.
        InvalidStatistics: the statistics of a data set cannot be used.
    """
    app = FastAPI(title="Batches of generated data", docs_url=None, redoc_url=None)
    datasets: dict[str, str] = {}  # by path
    progress: list[Groups] = []
    for contract in contracts:
        if not isinstance(contract.source, BatchSource):
            continue
        path = contract.source.path
        if path in datasets:
            message = (
                f"{datasets[path]!r} and {contract.name!r} both come from {path}: one contract has to name another path (source.path)."
            )
            raise ValueError(message)
        datasets[path] = contract.name
        fakes = FakeRecords.load(contract, settings.data_dir)
        progress.append(Groups(settings.batch_api_batches, settings.batch_api_seconds))
        _serve(app, path, Generator(fakes, settings.batch_api_rows, seed, form), progress[-1])

    @app.get("/restart_data_generation")
    def restart(group_number: GroupNumber) -> dict[str, bool]:
        for groups in progress:
            groups.restart(group_number)
        return {"ok": True}

    @app.get("/health")
    def health() -> dict[str, dict[str, str]]:
        return {"data_sets": datasets}

    return app


def _serve(app: FastAPI, path: str, generator: Generator, groups: Groups) -> None:
    @app.get(path)
    def data(group_number: GroupNumber) -> dict[str, int | bool | Rows]:
        number = groups.next(group_number)
        if number is None:
            raise HTTPException(_REFUSED, f"All {groups.batches} batches of group {group_number} have been collected.")
        rows = generator.batch(group_number, number)
        return {"group_number": group_number, "batch_number": number, "generated": True, "data": rows}


def main(
    seed: Annotated[int, values.seed("The same seed makes the same batches.")] = DEMO_SEED,
    form: Annotated[Form, typer.Option(help="The form of a row; a list has no names in it.")] = "lists",
) -> None:
    """Hand out generated data in batches over HTTP until SIGTERM or SIGINT."""
    configure_logging("batch-api")
    try:
        settings = BatchApiSettings()
        app = create_app(list_contracts(settings.data_dir), settings, seed, form)
    except (HearthError, ValueError) as error:
        raise CommandError(f"No batches can be served: {error}") from error
    uvicorn.run(app, host=settings.batch_api_host, port=settings.batch_api_port, access_log=True, log_config=None)


if __name__ == "__main__":
    run_program(main)
