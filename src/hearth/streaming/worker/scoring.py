"""From messages to what is to be stored or buried. Nothing here reads or writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate

from hearth.contracts import Contract
from hearth.errors import HearthError, InvalidMessage, InvalidRecords, Problem, UnknownDataset
from hearth.predictions import PredictionBlock
from hearth.serving.model_follower import LoadedModel
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter
from hearth.streaming.messages import address, enqueued_at, most_records, records_of

_PROBLEMS_SHOWN = 10
_LONGEST_REASON = 2_000


@dataclass(frozen=True)
class Scored:
    """What one version said about the records of some messages, and letters for those of them that no version can score."""

    block: PredictionBlock
    letters: Sequence[DeadLetter]


def chunks(entries: Sequence[Entry], records: int) -> list[list[Entry]]:
    """Cut messages, in their order, into lists that hold no more than so many records, or one message."""
    made: list[list[Entry]] = []
    size = records
    for entry in entries:
        size += most_records(entry)
        if size > records:
            made.append([])
            size = most_records(entry)
        made[-1].append(entry)
    return made


def by_address(entries: Sequence[Entry], contracts: Mapping[str, Contract]) -> tuple[dict[tuple[str, str], list[Entry]], list[DeadLetter]]:
    """Group messages by data set and alias; also return a letter for each that nobody can be asked about."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    letters: list[DeadLetter] = []
    for entry in entries:
        try:
            dataset, alias = address(entry)
        except InvalidMessage as error:
            letters.append(letter(entry, error))
            continue
        if dataset in contracts:
            groups.setdefault((dataset, alias), []).append(entry)
        else:
            letters.append(letter(entry, UnknownDataset(dataset, sorted(contracts))))
    return groups, letters


def score(model: LoadedModel, contract: Contract, entries: Sequence[Entry]) -> Scored:
    """Score the records of messages in one call; a record that the contract refuses costs none beside it."""
    messages, letters = _read(entries)
    records = [record for _, raw in messages for record in raw]
    places = [(entry.key, row) for entry, raw in messages for row in range(len(raw))]
    parser = model.scorer.parser
    try:
        columns = parser.parse(records)
    except InvalidRecords as error:
        letters += _refusals(messages, error.problems)
        bad = {problem.row for problem in error.problems}
        places = [place for row, place in enumerate(places) if row not in bad]
        records = [record for row, record in enumerate(records) if row not in bad]
        columns = parser.from_checked(records)  # type: ignore[arg-type]  # the others have passed
    scores = model.scorer.score_columns(columns)
    came_in = {entry.key: enqueued_at(entry.key) for entry, _ in messages}
    names = contract.feature_names
    block = PredictionBlock(
        dataset=model.dataset,
        alias=model.alias,
        version=model.version,
        family=model.family,
        classes=scores.classes,
        scored_at=datetime.now(UTC),
        message_ids=[key for key, _ in places],
        rows=[row for _, row in places],
        enqueued_at=[came_in[key] for key, _ in places],
        records=[{name: record.get(name) for name in names} for record in records if isinstance(record, dict)],
        codes=scores.codes,
        probabilities=scores.probabilities,
    )
    return Scored(block, letters)


def letter(entry: Entry, error: HearthError) -> DeadLetter:
    """Return the letter of a message that can never be scored."""
    return _letter(entry, error.code, str(error))


def _read(entries: Sequence[Entry]) -> tuple[list[tuple[Entry, Sequence[object]]], list[DeadLetter]]:
    """Return the messages with their raw records, and letters for those that cannot be read."""
    messages: list[tuple[Entry, Sequence[object]]] = []
    letters: list[DeadLetter] = []
    for entry in entries:
        try:
            messages.append((entry, records_of(entry)))
        except InvalidMessage as error:
            letters.append(letter(entry, error))
    return messages, letters


def _refusals(messages: Sequence[tuple[Entry, Sequence[object]]], problems: Sequence[Problem]) -> list[DeadLetter]:
    """Return a letter for each message that has a bad record, which it knows by its own row."""
    starts = list(accumulate((len(raw) for _, raw in messages), initial=0))
    owners = [number for number, (_, raw) in enumerate(messages) for _ in raw]
    found: dict[int, list[Problem]] = {}
    for problem in problems:
        owner = owners[problem.row]
        found.setdefault(owner, []).append(replace(problem, row=problem.row - starts[owner]))
    letters = []
    for owner, refused in found.items():
        more = f"; and {len(refused) - _PROBLEMS_SHOWN} more" if len(refused) > _PROBLEMS_SHOWN else ""
        letters.append(_letter(messages[owner][0], InvalidRecords.code, "; ".join(map(str, refused[:_PROBLEMS_SHOWN])) + more))
    return letters


def _letter(entry: Entry, error: str, reason: str) -> DeadLetter:
    return DeadLetter(entry, error, reason[:_LONGEST_REASON], datetime.now(UTC).isoformat())
