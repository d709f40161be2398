"""Turns messages into predictions and dead letters. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from hearth.contracts import Contract
from hearth.contracts.records import CheckedRecords, split_records
from hearth.errors import HearthError, InvalidMessage, InvalidRecords, NotKept, UnknownDataset
from hearth.predictions import PredictionBlock
from hearth.predictions.personal_hash import PersonalHash
from hearth.predictions.recorded_columns import recorded_columns
from hearth.serving.answer_parts import parts_to_store, require_kept
from hearth.serving.include import NOTHING, Include
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.rollouts.router import Router
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter
from hearth.streaming.messages import INCLUDE, ROUTING_KEY, enqueued_at, max_records, read_address, read_message_include, read_records
from hearth.tracing.traceparent import TraceContext

_MAX_PROBLEMS = 10  # problems that a letter names
_MAX_REASON_LENGTH = 2_000


@dataclass(frozen=True)
class ScoredGroup:
    """The predictions of one version for the records of some messages, and the letters of messages that it cannot score.

    `refused` counts the records of readable messages that break the contract.
    """

    block: PredictionBlock
    letters: Sequence[DeadLetter]
    refused: int = 0


def chunks(entries: Sequence[Entry], records: int) -> list[list[Entry]]:
    """Divide messages, in their order, into lists of at most `records` records; a larger message is a list of its own."""
    lists: list[list[Entry]] = []
    size = records
    for entry in entries:
        size += max_records(entry)
        if size > records:
            lists.append([])
            size = max_records(entry)
        lists[-1].append(entry)
    return lists


def by_address(entries: Sequence[Entry], contracts: Mapping[str, Contract]) -> tuple[dict[tuple[str, str], list[Entry]], list[DeadLetter]]:
    """Group messages by data set and alias; also return letters for those without a valid address."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    letters: list[DeadLetter] = []
    for entry in entries:
        try:
            dataset, alias = read_address(entry)
        except InvalidMessage as error:
            letters.append(letter(entry, error))
            continue
        if dataset in contracts:
            groups.setdefault((dataset, alias), []).append(entry)
        else:
            letters.append(letter(entry, UnknownDataset(dataset, sorted(contracts))))
    return groups, letters


def by_version(router: Router, dataset: str, alias: str, entries: Sequence[Entry]) -> list[tuple[LoadedModel, list[Entry]]]:
    """Divide messages for an alias by the version that scores them; while no rollout runs that is one.

    Raises:
        UnknownAlias, ModelUnavailable: as `ModelFollower.get`.
    """
    groups: dict[int, tuple[LoadedModel, list[Entry]]] = {}
    for entry in entries:
        model = router.route(dataset, alias, partial(_routing_key, entry), _wanted(entry))
        groups.setdefault(id(model), (model, []))[1].append(entry)
    return list(groups.values())


def score(  # noqa: PLR0913, PLR0917 - what a batch is scored with
    model: LoadedModel,
    contract: Contract,
    entries: Sequence[Entry],
    personal_hash: PersonalHash | None = None,
    router: Router | None = None,
    trace: TraceContext | None = None,
) -> ScoredGroup:
    """Score the records of messages in one call. An invalid record does not affect the others of its message.

    In what is stored, hashes stand for the values of `personal: hash` columns; without `personal_hash` they are left out. With a `router`,
    what the versions of a rollout do is counted, and where a candidate fails the champion scores.
    `trace` is for messages that name none.
    """
    messages, letters = _read(entries, model)
    parser = model.scorer.parser
    records = [record for _, raw in messages for record in raw]
    keys = [(entry.key, row) for entry, raw in messages for row in range(len(raw))]
    received = len(records)
    try:
        columns = parser.parse(records, max_problems=1)
    except InvalidRecords:
        records, keys = [], []
        for entry, raw in messages:
            checked = split_records(contract, raw, _MAX_PROBLEMS)
            if checked.count:
                letters.append(_refusal(entry, checked, contract))
            records += checked.good.values()
            keys += [(entry.key, row) for row in checked.good]
        columns = parser.from_checked(records)  # type: ignore[arg-type]  # objects, as these are good
    model, scores = router.score(model, columns, len(messages)) if router else (model, model.scorer.score_columns(columns))
    times = {entry.key: enqueued_at(entry.key) for entry, _ in messages}
    traces = {entry.key: place.trace_id if (place := entry.trace or trace) else None for entry, _ in messages}
    block = PredictionBlock(
        dataset=model.dataset,
        alias=model.alias,
        version=model.version,
        family=model.family,
        classes=scores.classes,
        scored_at=datetime.now(UTC),
        message_ids=[message_id for message_id, _ in keys],
        rows=[row for _, row in keys],
        enqueued_at=[times[message_id] for message_id, _ in keys],
        records=_recorded(records, contract, personal_hash),
        codes=scores.codes,
        probabilities=scores.probabilities,
        parts=parts_to_store(model, columns, scores.probabilities),
        trace_ids=[traces[message_id] for message_id, _ in keys],
    )
    return ScoredGroup(block, letters, received - len(keys))


def _routing_key(entry: Entry) -> str:
    return entry.fields.get(ROUTING_KEY, b"").decode("utf-8", "replace") or entry.key


def _wanted(entry: Entry) -> Include:
    """Return what a message asks for; a field that cannot be read is refused later, with its letter."""
    try:
        return read_message_include(entry)
    except InvalidMessage:
        return NOTHING


def _recorded(records: Sequence[object], contract: Contract, personal_hash: PersonalHash | None) -> list[dict[str, object]]:
    hashed = contract.hashed_columns
    names = [name for name in recorded_columns(contract) if personal_hash is not None or name not in hashed]
    kept = [{name: record.get(name) for name in names} for record in records if isinstance(record, dict)]
    if personal_hash is not None:
        for name in hashed:
            for record in kept:
                record[name] = personal_hash.hashed(name, record[name])
    return kept


def letter(entry: Entry, error: HearthError) -> DeadLetter:
    """Return the letter of a message that can never be scored."""
    return _letter(entry, error.code, str(error))


def _read(entries: Sequence[Entry], model: LoadedModel) -> tuple[list[tuple[Entry, Sequence[object]]], list[DeadLetter]]:
    """Return the messages with their raw records, and the letters of messages that cannot be read."""
    messages: list[tuple[Entry, Sequence[object]]] = []
    letters: list[DeadLetter] = []
    for entry in entries:
        try:
            if INCLUDE in entry.fields:
                require_kept(model, read_message_include(entry))
            messages.append((entry, read_records(entry)))
        except (InvalidMessage, NotKept) as error:
            letters.append(letter(entry, error))
    return messages, letters


def _refusal(entry: Entry, checked: CheckedRecords, contract: Contract) -> DeadLetter:
    """Return the letter of a message with bad records, whose rows are numbered within the message."""
    broken = {problem.column for problem in checked.problems}
    columns = tuple(name for name in contract.feature_columns if name in broken)
    more = f"; and {checked.count - len(checked.problems)} more" if checked.count > len(checked.problems) else ""
    return _letter(entry, InvalidRecords.code, "; ".join(map(str, checked.problems)) + more, columns)


def _letter(entry: Entry, error: str, reason: str, columns: tuple[str, ...] = ()) -> DeadLetter:
    return DeadLetter(entry, error, reason[:_MAX_REASON_LENGTH], datetime.now(UTC).isoformat(), columns=columns)
