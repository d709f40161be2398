"""Hand out generated data in batches over HTTP, as an API that a data set comes from does: `python utils/batch_api.py`.

Serves every data set whose contract has such a source, under the path that the contract names:

    GET <path>?group_number=1     {"group_number": 1, "batch_number": 3, "data": [["2596", "51", …], …]}

A group's first request gets batch 1. The next batch is handed out as soon as it is asked for and HEARTH_BATCH_API_SECONDS have gone by;
until then the same one is, again. When the last one's time has gone by too, the answer is 400.
`GET /restart_data_generation?group_number=1` begins anew. The same seed makes the same batches; all is kept in memory.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Query

from hearth.contracts import Contract, list_contracts
from hearth.contracts.model import BatchSource
from hearth.errors import HearthError
from hearth.fakes import DEMO_SEED, FakeRecords
from hearth.settings import BatchApiSettings

_REFUSED = 400

GroupNumber = Annotated[int, Query(ge=0, lt=2**31)]
Form = Literal["lists", "objects"]
Rows = list[list[str | None]] | list[dict[str, str | None]]


@dataclass
class Groups:
    """How far each group has come. Threads may share it."""

    batches: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _handed_out: dict[int, tuple[int, float]] = field(default_factory=dict)  # by group: the last batch, and when it was first handed out
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, group: int) -> int | None:
        """Return the number of the batch to hand out, counted from 1; None when there are no more."""
        with self._lock:
            number, since = self._handed_out.get(group, (0, -np.inf))
            if self.clock() - since < self.seconds:
                return number
            if number == self.batches:
                return None
            self._handed_out[group] = (number + 1, self.clock())
            return number + 1

    def restart(self, group: int) -> None:
        """Begin anew with the first batch."""
        with self._lock:
            self._handed_out.pop(group, None)


@dataclass(frozen=True)
class Generator:
    """Makes the batches of a data set; all values are texts, as in a file."""

    fakes: FakeRecords
    rows: int
    seed: int
    form: Form

    def batch(self, group: int, number: int) -> Rows:
        """Generate a batch; the same one each time."""
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
        InvalidStatistics: one cannot be generated.
    """
    app = FastAPI(title="Batches of generated data", docs_url=None, redoc_url=None)
    served: dict[str, str] = {}
    progress: list[Groups] = []
    for contract in contracts:
        if not isinstance(contract.source, BatchSource):
            continue
        path = contract.source.path
        if path in served:
            message = f"{served[path]!r} and {contract.name!r} both come from {path}: one contract has to name another path (source.path)."
            raise ValueError(message)
        served[path] = contract.name
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
        return {"data_sets": served}

    return app


def _serve(app: FastAPI, path: str, generator: Generator, groups: Groups) -> None:
    @app.get(path)
    def data(group_number: GroupNumber) -> dict[str, int | Rows]:
        number = groups.next(group_number)
        if number is None:
            raise HTTPException(_REFUSED, f"All {groups.batches} batches of group {group_number} have been collected.")
        return {"group_number": group_number, "batch_number": number, "data": generator.batch(group_number, number)}


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    parser.add_argument("--form", choices=("lists", "objects"), default="lists", help="what a row is; a list has no names in it")
    options = parser.parse_args()
    try:
        settings = BatchApiSettings()
        app = create_app(list_contracts(settings.data_dir), settings, options.seed, options.form)
    except (HearthError, ValueError) as error:
        print(f"No batches can be handed out: {error}", file=sys.stderr)
        return 1
    uvicorn.run(app, host=settings.batch_api_host, port=settings.batch_api_port, access_log=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
