"""The records of all requests: fake employees, the same on every run."""

from collections.abc import Mapping, Sequence
from random import Random

from benchmarks.harness.model import DATA
from hearth.contracts import load_contract
from hearth.fakes import FakeRecords

Records = Sequence[Mapping[str, object]]

_DIFFERENT = {1: 500, 100: 20, 1_000: 5}
_SEED = 7
_FLOAT_SHARE = 0.5


def fake_requests(size: int) -> list[Records]:
    """Return different requests of `size` records without missing values, which not every peer can read."""
    contract = load_contract("employees", DATA)
    count = size * _DIFFERENT.get(size, 10)
    fakes = FakeRecords.load(contract, DATA).records(2 * count + 100, seed=_SEED)
    whole = [{name: record[name] for name in contract.feature_names} for record in fakes if None not in record.values()]
    return [whole[start : start + size] for start in range(0, count, size)]


def mixed_requests(size: int) -> list[Records]:
    """Return different requests of `size` records as people send them.

    Values are missing as often as in the real data, in 14 % of its records, and half of the whole numbers are written as 3.0.
    """
    contract, random = load_contract("employees", DATA), Random(_SEED)  # noqa: S311 - not a secret
    count = size * _DIFFERENT.get(size, 10)
    fakes = FakeRecords.load(contract, DATA).records(count, seed=_SEED)
    records = [{name: _as_written(record[name], random) for name in contract.feature_names} for record in fakes]
    return [records[start : start + size] for start in range(0, count, size)]


def _as_written(value: object, random: Random) -> object:
    return float(value) if isinstance(value, int) and random.random() < _FLOAT_SHARE else value
