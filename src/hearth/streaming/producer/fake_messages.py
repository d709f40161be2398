"""Messages of fake records, valid and invalid, as the producer and the fault test send them."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.fakes import FakeRecords
from hearth.fakes.bad import BADNESSES, bad_record
from hearth.fakes.drift import Drift
from hearth.fakes.truth import Concept, truth_of
from hearth.streaming.client import Fields
from hearth.streaming.messages import encode

Record = dict[str, object]

_BLOCK_RECORDS = 1_000
_UNKNOWN_NAME = b"no_such_thing"


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """A message and its expected result: the rows in `bad` are refused; if it is not `readable`, the whole message is."""

    fields: Fields
    records: int
    bad: frozenset[int]
    readable: bool = True
    dataset: str = ""
    truths: tuple[str | None, ...] = ()
    """The class that each record turns out to be; None if nobody knows."""


@dataclass(frozen=True)
class Source:
    """The records of one data set, and the aliases that are to score them."""

    contract: Contract
    fakes: FakeRecords
    aliases: tuple[str, ...]
    drift: Drift = field(default_factory=Drift)
    concept: Concept | None = None

    @classmethod
    def of(cls, contract: Contract, fakes: FakeRecords, drift: Drift | None = None) -> "Source":
        """Return a source with all families of the data set and its champion."""
        return cls(contract, fakes, (*contract.families, CHAMPION), drift or Drift())


Turn = tuple[Source, str]  # a source and one of its aliases


def fake_messages(  # noqa: PLR0913 - all but the first two are named
    sources: Sequence[Source],
    seed: int,
    *,
    sizes: Sequence[int] = (1,),
    records: int | None = None,
    bad_share: float = 0.0,
    minutes: Callable[[int], float] = lambda _: 0.0,
    is_there: Callable[[Turn], bool] = lambda _: True,
) -> Iterator[FakeMessage]:
    """Yield messages of each data set and alias in turn; the same arguments yield the same messages.

    Args:
        sources: the data sets.
        seed: of the random numbers.
        sizes: the numbers of records in a message, drawn at random.
        records: the total number of records; None for no end.
        bad_share: the share of invalid records, 0 to 1.
        minutes: the time in minutes, for drift, as a function of the number of records so far.
        is_there: whether a turn has a model, checked once a round. If no turn has one, all are used.
    """
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    streams = {source.contract.name: _records(source, seed) for source in sources}
    turns = _turns([(source, alias) for source in sources for alias in source.aliases], is_there)
    count = 0
    while records is None or count < records:
        source, alias = next(turns)
        size = random.choice(sizes)
        size = size if records is None else min(size, records - count)
        now = minutes(count)
        drawn = list(itertools.islice(streams[source.contract.name], size))
        good = [source.drift.applied(record, now, random) for record, _ in drawn]
        truths = tuple(truth_of(source.contract, target, record, source.concept, now) for record, target in drawn)
        yield replace(_message(source.contract, alias, good, bad_share, random), dataset=source.contract.name, truths=truths)
        count += size


def _turns(every: Sequence[Turn], is_there: Callable[[Turn], bool]) -> Iterator[Turn]:
    while True:
        yield from [turn for turn in every if is_there(turn)] or every


def _records(source: Source, seed: int) -> Iterator[tuple[Record, object]]:
    for block in itertools.count(seed * 1_000_000):
        yield from source.fakes.records_with_targets(_BLOCK_RECORDS, block)


def _message(contract: Contract, alias: str, records: Sequence[Record], bad_share: float, random: Random) -> FakeMessage:
    kinds = len(BADNESSES) + len(_UNREADABLE)
    if random.random() < bad_share * len(_UNREADABLE) / kinds:
        fields = random.choice(_UNREADABLE)(dict(encode(contract.name, alias, records)))
        return FakeMessage(fields, len(records), frozenset(range(len(records))), readable=False)
    bad = frozenset(row for row in range(len(records)) if random.random() < bad_share * len(BADNESSES) / kinds)
    mixed = [bad_record(contract, record, random) if row in bad else record for row, record in enumerate(records)]
    return FakeMessage(encode(contract.name, alias, mixed), len(records), bad)


def _cut_off(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"records": fields[b"records"][:-2]}


def _no_list(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"records": b"42"}


def _no_records(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {name: value for name, value in fields.items() if name != b"records"}


def _unknown_dataset(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"dataset": _UNKNOWN_NAME}


def _unknown_alias(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"alias": _UNKNOWN_NAME}


_UNREADABLE = (_cut_off, _no_list, _no_records, _unknown_dataset, _unknown_alias)
