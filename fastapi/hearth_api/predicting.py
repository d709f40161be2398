"""Scoring for all routes: few records where they arrive, many in the one thread that computes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hearth.contracts.columns import Columns
from hearth.scoring import Scores
from hearth.serving import LoadedModel
from hearth_api.state import ServiceState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a version said of the records of one request."""

    model: LoadedModel
    columns: Columns
    scores: Scores
    request_id: str


def score(model: LoadedModel, records: Sequence[object], request_id: str) -> Predicted:
    """Check records and score them, in the thread that calls.

    Raises:
        InvalidRecords: with all that is wrong, if anything is.
    """
    columns = model.scorer.parser.parse(records)
    return Predicted(model, columns, model.scorer.score_columns(columns), request_id)


async def score_records(service: ServiceState, model: LoadedModel, records: Sequence[object], request_id: str) -> Predicted:
    """Check records and score them, where that holds up other requests least.

    Raises:
        InvalidRecords: with all that is wrong, if anything is.
    """
    if len(records) <= model.records_in_place:
        return score(model, records, request_id)
    return await in_compute_thread(service, lambda: score(model, records, request_id))


async def in_compute_thread(service: ServiceState, work: Callable[[], T]) -> T:
    """Do work in the one thread that computes; a request that is cancelled while it waits for it is never worked on."""
    return await asyncio.get_running_loop().run_in_executor(service.compute, work)
