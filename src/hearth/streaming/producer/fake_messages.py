"""Messages of fake records, good ones and bad ones, as the producer and the fault test send them."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.fakes import FakeRecords
from hearth.fakes.bad import BADNESSES, bad_record
from hearth.fakes.drift import Drift
from hearth.streaming.client import Fields
from hearth.streaming.messages import encode

Record = dict[str, object]

_DRAWN_AT_ONCE = 1_000
_NOWHERE = b"no_such_thing"


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """A message, and what will become of it: the rows in `bad` are refused; all of it, if no one can read it."""

    fields: Fields
    records: int
    bad: frozenset[int]
    readable: bool = True


@dataclass(frozen=True)
class Source:
    """Where the records of one data set come from, and whom they ask."""

    contract: Contract
    fakes: FakeRecords
    aliases: tuple[str, ...]
    drift: Drift = field(default_factory=Drift)

    @classmethod
    def of(cls, contract: Contract, fakes: FakeRecords, drift: Drift | None = None) -> "Source":
        """Return the source that asks every family of the data set and its champion in turn."""
        return cls(contract, fakes, (*contract.families, CHAMPION), drift or Drift())


Turn = tuple[Source, str]  # a data set and the alias that is asked


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
    """Yield messages of each data set and alias in turn; the same arguments give the same ones.

    Args:
        sources: the data sets.
        seed: what is drawn depends on it alone.
        sizes: how many records a message holds is drawn from them.
        records: how many there are in all; None for no end.
        bad_share: the share of records that no model will ever see, each kind of badness in turn.
        minutes: how late it is when so many records have been made, for drift.
        is_there: whether there is a model to be asked, looked at once a round. If there is none at all, all are asked.
    """
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    drawn = {source.contract.name: _drawn(source, seed) for source in sources}
    turns = _turns([(source, alias) for source in sources for alias in source.aliases], is_there)
    made = 0
    while records is None or made < records:
        source, alias = next(turns)
        size = random.choice(sizes)
        size = size if records is None else min(size, records - made)
        now = minutes(made)
        good = [source.drift.applied(record, now, random) for record in itertools.islice(drawn[source.contract.name], size)]
        yield _message(source.contract, alias, good, bad_share, random)
        made += size


def _turns(every: Sequence[Turn], is_there: Callable[[Turn], bool]) -> Iterator[Turn]:
    while True:
        yield from [turn for turn in every if is_there(turn)] or every


def _drawn(source: Source, seed: int) -> Iterator[Record]:
    for block in itertools.count(seed * 1_000_000):
        yield from source.fakes.records(_DRAWN_AT_ONCE, block)


def _message(contract: Contract, alias: str, records: Sequence[Record], bad_share: float, random: Random) -> FakeMessage:
    kinds = len(BADNESSES) + len(_UNREADABLE)
    if random.random() < bad_share * len(_UNREADABLE) / kinds:
        fields = random.choice(_UNREADABLE)(dict(encode(contract.name, alias, records)))
        return FakeMessage(fields, len(records), frozenset(range(len(records))), readable=False)
    bad = frozenset(row for row in range(len(records)) if random.random() < bad_share * len(BADNESSES) / kinds)
    sent = [bad_record(contract, record, random) if row in bad else record for row, record in enumerate(records)]
    return FakeMessage(encode(contract.name, alias, sent), len(records), bad)


def _cut_off(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"records": fields[b"records"][:-2]}


def _no_list(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"records": b"42"}


def _no_records(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {name: value for name, value in fields.items() if name != b"records"}


def _unknown_dataset(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"dataset": _NOWHERE}


def _unknown_alias(fields: dict[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {**fields, b"alias": _NOWHERE}


_UNREADABLE = (_cut_off, _no_list, _no_records, _unknown_dataset, _unknown_alias)
