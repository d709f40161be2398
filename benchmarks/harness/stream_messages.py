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


def batches(messages: int, records: int, batch_size: int) -> Iterator[list[Fields]]:
    """Yield batches of messages with `records` records each; after 5,000 records the same ones repeat."""
    endless = itertools.cycle(_messages(records))
    for start in range(0, messages, batch_size):
        yield list(itertools.islice(endless, min(batch_size, messages - start)))


@cache
def _messages(records: int) -> list[Fields]:
    contract = employees()
    fakes = FakeRecords.load(contract, DATA).records(_RECORDS, _SEED)
    return [encode(contract.name, CHAMPION, fakes[start : start + records]) for start in range(0, _RECORDS, records)]
