"""The employees' contract, and a record that keeps a contract."""

from pathlib import Path

from hearth.contracts import Contract, load_contract
from hearth.contracts.examples import example_record

DATA = Path(__file__).parents[2] / "data"


def employees() -> Contract:
    return load_contract("employees", DATA)


def good_record(contract: Contract, **changes: object) -> dict[str, object]:
    """Return a record in the middle of every range."""
    return {**example_record(contract), **changes}
