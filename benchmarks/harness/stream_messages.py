"""Messages of seeded fake employees for benchmarks of the stream."""

import itertools
from collections.abc import Iterator
from functools import cache

from benchmarks.harness.model import DATA
from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.fakes import FakeRecords
from hearth.streaming.client import Fields
from hearth.streaming.messages import encode

_SEED, _RECORDS = 42, 5_000


def employees() -> Contract:
    """Return the contract whose records are sent."""
    return load_contract("employees", DATA)


def batches(messages: int, records: int, at_once: int) -> Iterator[list[Fields]]:
    """Yield so many messages of so many records each, some at once; after a while the same ones come again."""
    endless = itertools.cycle(_messages(records))
    for start in range(0, messages, at_once):
        yield list(itertools.islice(endless, min(at_once, messages - start)))


@cache
def _messages(records: int) -> list[Fields]:
    contract = employees()
    drawn = FakeRecords.load(contract, DATA).records(_RECORDS, _SEED)
    return [encode(contract.name, CHAMPION, drawn[start : start + records]) for start in range(0, _RECORDS, records)]
