"""What somebody says that a record turned out to be, read as a class of the contract."""

from bisect import bisect_right

from hearth.contracts.column_types import HIDDEN, IntegerColumn, NumberColumn
from hearth.contracts.model import Contract
from hearth.contracts.texts import NUMBER
from hearth.errors import InvalidTruth


def read_truth(contract: Contract, value: object) -> int:
    """Return the position of a class that is named, or written as the target column holds it; numbers may be texts, as in a CSV file.

    A column that is cut holds measurements, while predictions answer positions. A number that is both is refused if the two differ.

    Raises:
        InvalidTruth: the value is no class, or may be two.
    """
    name = value.strip() if isinstance(value, str) else value
    if isinstance(name, str) and name in contract.target.classes:
        return contract.target.classes.index(name)
    if isinstance(name, str) and name in contract.class_codes:
        return contract.class_codes.index(name)
    number = _number(name)
    positions = set() if number is None else _positions(contract, number)
    if len(positions) != 1:
        raise InvalidTruth(_shown(contract, value), _expected(contract, is_ambiguous=len(positions) > 1))
    return positions.pop()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not (isinstance(value, int | float) or (isinstance(value, str) and NUMBER.fullmatch(value))):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _positions(contract: Contract, number: float) -> set[int]:
    positions = {contract.class_codes.index(code) for code in contract.class_codes if not isinstance(code, str) and code == number}
    column, cuts = contract.columns[contract.target.column], contract.target.cuts
    if cuts and isinstance(column, IntegerColumn | NumberColumn) and column.minimum <= number <= column.maximum:
        positions.add(bisect_right(cuts, number))
    return positions


def _shown(contract: Contract, value: object) -> object:
    return HIDDEN if contract.columns[contract.target.column].personal else value


def _expected(contract: Contract, *, is_ambiguous: bool) -> str:
    target = contract.target
    classes = ", ".join(target.classes)
    if is_ambiguous:
        return f"one of {classes}: the number is one class as a value of {target.column!r} and another as its position"
    if target.cuts:
        return f"one of {classes}, or {contract.columns[target.column].expected}, which is cut into these"
    codes = ", ".join(map(str, contract.class_codes))
    return f"one of {classes}" if set(map(str, contract.class_codes)) == set(target.classes) else f"one of {classes}, or one of {codes}"
