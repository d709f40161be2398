"""The employees' contract, and a record that keeps a contract."""

from pathlib import Path

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn, load_contract

DATA = Path(__file__).parents[2] / "data"


def employees() -> Contract:
    return load_contract("employees", DATA)


def good_record(contract: Contract, **changes: object) -> dict[str, object]:
    """Return a record in the middle of every range."""
    record: dict[str, object] = {}
    for name, column in contract.feature_columns.items():
        if isinstance(column, CategoryColumn):
            record[name] = column.categories[0]
        elif isinstance(column, IntegerColumn | NumberColumn):
            record[name] = (column.minimum + column.maximum) // 2
    return {**record, **changes}
