"""Records that the contract refuses, made of good ones: what a careless sender would send."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn

Record = dict[str, object]

_BEYOND = 1.5  # so many widths of its range a value lies outside
_NO_COLUMN = "Shoe Size"
_NO_CATEGORY = "unheard of"


@dataclass(frozen=True)
class Badness:
    """One way in which a record can be wrong; `spoil` returns a bad copy, or None if this contract has nothing that it could spoil."""

    name: str
    spoil: Callable[[Contract, Mapping[str, object], Random], Record | None]


def bad_record(contract: Contract, record: Mapping[str, object], random: Random) -> Record:
    """Return a copy that the contract refuses, wrong in a way that is drawn; the same `random` gives the same one."""
    for badness in random.sample(BADNESSES, len(BADNESSES)):
        spoilt = badness.spoil(contract, record, random)
        if spoilt is not None:
            return spoilt
    raise AssertionError("a record can always have one column too many")


def _out_of_range(contract: Contract, record: Mapping[str, object], random: Random) -> Record | None:
    if not contract.numeric_features:
        return None
    name = random.choice(contract.numeric_features)
    column = contract.columns[name]
    assert isinstance(column, IntegerColumn | NumberColumn)  # noqa: S101 - what a numeric feature is
    beyond = _BEYOND * (column.maximum - column.minimum)
    return {**record, name: column.maximum + beyond if random.random() < 0.5 else column.minimum - beyond}  # noqa: PLR2004 - a coin


def _a_text_for_a_number(contract: Contract, record: Mapping[str, object], random: Random) -> Record | None:
    if not contract.numeric_features:
        return None
    name = random.choice(contract.numeric_features)
    return {**record, name: str(record[name])}


def _a_part_of_a_whole(contract: Contract, record: Mapping[str, object], random: Random) -> Record | None:
    whole = [name for name, column in contract.feature_columns.items() if isinstance(column, IntegerColumn)]
    if not whole:
        return None
    name = random.choice(whole)
    column = contract.columns[name]
    assert isinstance(column, IntegerColumn)  # noqa: S101 - chosen so
    return {**record, name: column.minimum + 0.5}


def _unknown_category(contract: Contract, record: Mapping[str, object], random: Random) -> Record | None:
    names = [name for name, column in contract.feature_columns.items() if isinstance(column, CategoryColumn)]
    return {**record, random.choice(names): _NO_CATEGORY} if names else None


def _missing(contract: Contract, record: Mapping[str, object], random: Random) -> Record | None:
    needed = [name for name, column in contract.feature_columns.items() if not column.nullable]
    if not needed:
        return None
    left_out = random.choice(needed)
    return {name: value for name, value in record.items() if name != left_out}


def _null(contract: Contract, record: Mapping[str, object], random: Random) -> Record | None:
    needed = [name for name, column in contract.feature_columns.items() if not column.nullable]
    return {**record, random.choice(needed): None} if needed else None


def _one_column_too_many(contract: Contract, record: Mapping[str, object], _: Random) -> Record:
    name = _NO_COLUMN
    while name in contract.columns:
        name += "?"
    return {**record, name: 42}


BADNESSES = (
    Badness("out of range", _out_of_range),
    Badness("a text for a number", _a_text_for_a_number),
    Badness("a part of a whole number", _a_part_of_a_whole),
    Badness("unknown category", _unknown_category),
    Badness("missing column", _missing),
    Badness("null", _null),
    Badness("one column too many", _one_column_too_many),
)
