"""What fake records turn out to be, and how its meaning may change: what a model that is watched has to learn anew."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hearth.contracts import Contract, IntegerColumn, NumberColumn
from hearth.errors import InvalidDrift

Record = Mapping[str, object]
_MOVE = re.compile(r"(?P<amount>[+-]?(?:\d+\.?\d*|\.\d+))(?P<unit>%?)")


@dataclass(frozen=True)
class Concept:
    """A change of what the records of a data set turn out to be, from some minute on, which can be learnt from their features.

    With `shift` the target of every record moves by so much before it is cut into classes. Else records whose `column` is at `threshold` or
    above are of the next class, those of the last class of the first.
    """

    after_minutes: float = 0.0
    shift: float = 0.0
    column: str = ""
    threshold: float = 0.0

    def __str__(self) -> str:
        when = f" after {self.after_minutes:g} min" if self.after_minutes else ""
        what = f"the target moves by {self.shift:+g}" if self.shift else f"the next class from {self.column} {self.threshold:g} on"
        return what + when


def parse_concept(text: str, contract: Contract, sample: Sequence[Record], after_minutes: float = 0.0) -> Concept:
    """Read a change as people write it: `+0.1` moves the target of a column that is cut; `30%` is the share of records that change class.

    Raises:
        InvalidDrift: it cannot be read, or the data set has no target that moves, or no numbers.
    """
    read = _MOVE.fullmatch(text.strip())
    amount = float(read["amount"]) if read else 0.0
    if not read or not amount:
        raise InvalidDrift(text, "a concept changes as +0.1, what a target that is cut moves by, or as 30%, the share that changes class")
    if not read["unit"]:
        if not contract.target.cuts:
            raise InvalidDrift(text, f"the target of {contract.name!r} is not cut into classes: give a share such as 30%")
        return Concept(after_minutes, shift=amount)
    if not 0 < amount <= 100:  # noqa: PLR2004 - percent
        raise InvalidDrift(text, "a share is above 0 % and at most 100 %")
    for name in contract.numeric_features:
        values = [float(value) for record in sample if isinstance(value := record[name], int | float)]
        if len(set(values)) > 1:
            return Concept(after_minutes, column=name, threshold=float(np.quantile(values, 1 - amount / 100)))
    raise InvalidDrift(text, f"no number of {contract.name!r} has two values")


def truth_of(contract: Contract, target: object, record: Record, concept: Concept | None, minutes: float) -> str | None:
    """Return the class that a record turns out to be; None if its target is missing.

    `record` is as it was drawn, before any drift of its columns.
    """
    if target is None:
        return None
    is_changed = concept is not None and minutes >= concept.after_minutes
    if contract.target.cuts:
        assert isinstance(target, int | float)  # noqa: S101 - what is cut is a number
        column = contract.columns[contract.target.column]
        assert isinstance(column, IntegerColumn | NumberColumn)  # noqa: S101
        shift = concept.shift if is_changed and concept else 0.0
        position = bisect_right(contract.target.cuts, min(max(target + shift, column.minimum), column.maximum))
    else:
        position = contract.class_codes.index(target)
    value = record.get(concept.column) if is_changed and concept and concept.column else None
    if concept is not None and isinstance(value, int | float) and value >= concept.threshold:
        position = (position + 1) % len(contract.target.classes)
    return contract.target.classes[position]
