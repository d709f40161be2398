"""From entries of the stream to records that can be scored, and from scores to predictions. Nothing here reads or writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hearth.contracts import Contract
from hearth.contracts.records import split_records
from hearth.errors import HearthError, InvalidMessage, InvalidRecords, UnknownDataset
from hearth.predictions import Prediction
from hearth.scoring import Scores
from hearth.serving import LoadedModel
from hearth.streaming.client import DeadLetter, Entry
from hearth.streaming.messages import decode, enqueued_at

_PROBLEMS_SHOWN = 10
_LONGEST_REASON = 2_000


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done about one message: score the records that the contract accepts, by row, and bury the letter if there is one."""

    entry: Entry
    dataset: str
    alias: str
    records: Mapping[int, dict[str, object]]
    letter: DeadLetter | None


def prepare(entry: Entry, contracts: Mapping[str, Contract]) -> Job:
    """Check a message; a record that the contract refuses costs none beside it."""
    try:
        message = decode(entry)
    except InvalidMessage as error:
        return buried(entry, error)
    if message.dataset not in contracts:
        return buried(entry, UnknownDataset(message.dataset, sorted(contracts)))
    good, problems = split_records(contracts[message.dataset], message.records)
    refused = None
    if problems:
        more = f"; and {len(problems) - _PROBLEMS_SHOWN} more" if len(problems) > _PROBLEMS_SHOWN else ""
        refused = _letter(entry, InvalidRecords.code, "; ".join(map(str, problems[:_PROBLEMS_SHOWN])) + more)
    return Job(entry, message.dataset, message.alias, good, refused)


def buried(entry: Entry, error: HearthError) -> Job:
    """Return the job of a message that can never be scored."""
    return Job(entry, "", "", {}, _letter(entry, error.code, str(error)))


def by_model(jobs: Iterable[Job]) -> dict[tuple[str, str], list[Job]]:
    """Group the jobs that have records to score by data set and alias."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        if job.records:
            groups.setdefault((job.dataset, job.alias), []).append(job)
    return groups


def score(model: LoadedModel, jobs: Sequence[Job]) -> list[Prediction]:
    """Score the records of all jobs in one call."""
    places = [(job, row, record) for job in jobs for row, record in job.records.items()]
    scores = model.scorer.score([record for _, _, record in places])
    return list(_predictions(model, places, scores))


def _predictions(model: LoadedModel, places: Sequence[tuple[Job, int, dict[str, object]]], scores: Scores) -> Iterable[Prediction]:
    now = datetime.now(UTC)
    came_in = {job.entry.id: enqueued_at(job.entry.id) for job, _, _ in places}
    told = zip(places, scores.codes.tolist(), scores.labels, scores.probabilities.tolist(), strict=True)
    for (job, row, record), code, label, probabilities in told:
        yield Prediction(
            message_id=job.entry.id,
            row=row,
            dataset=model.dataset,
            alias=model.alias,
            version=model.version,
            family=model.family,
            code=code,
            label=label,
            probabilities=tuple(probabilities),
            record=record,
            enqueued_at=came_in[job.entry.id],
            scored_at=now,
        )


def _letter(entry: Entry, error: str, reason: str) -> DeadLetter:
    return DeadLetter(entry, error, reason[:_LONGEST_REASON], datetime.now(UTC).isoformat())
