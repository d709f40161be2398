"""The records of all requests: fake employees, the same on every run."""

from collections.abc import Mapping, Sequence

from benchmarks.harness.model import DATA
from hearth.contracts import load_contract
from hearth.fakes import FakeRecords

Records = Sequence[Mapping[str, object]]

_DIFFERENT = {1: 500, 100: 20, 1_000: 5}
_SEED = 7


def fake_requests(size: int) -> list[Records]:
    """Return different requests of `size` records without missing values, which not every peer can read."""
    contract = load_contract("employees", DATA)
    count = size * _DIFFERENT.get(size, 10)
    fakes = FakeRecords.load(contract, DATA).records(2 * count + 100, seed=_SEED)
    whole = [{name: record[name] for name in contract.feature_names} for record in fakes if None not in record.values()]
    return [whole[start : start + size] for start in range(0, count, size)]
