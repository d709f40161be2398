"""Input tensors as records: a tensor for each column, or one tensor whose rows have a value for each feature in contract order."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from hearth.contracts import CategoryColumn, Contract
from hearth.contracts.rules import rules_of
from hearth.serving.open_inference.tensors import BYTES, FLOATS, InvalidInference, TensorSpec, require_readable
from hearth.serving.text_values import text_value, whole_as_int

_COLUMN, _MATRIX = 1, 2


@dataclass(frozen=True)
class InputLayout:
    """How the input tensors of a request hold its records: `matrix` tells one tensor of all features from a tensor for each column."""

    contract: Contract
    inputs: tuple[TensorSpec, ...]
    records: int
    matrix: bool

    def read(self, values: Sequence[Sequence[object]]) -> list[dict[str, object]]:
        """Return the records, unchecked, from the row-major values of each input; None, NaN and an empty text are missing values."""
        if self.matrix:
            return self._rows(values[0])
        columns = [self._column(spec, column) for spec, column in zip(self.inputs, values, strict=True)]
        names = [spec.name for spec in self.inputs]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _column(self, spec: TensorSpec, values: Sequence[object]) -> Sequence[object]:
        if spec.datatype == BYTES:
            return [value or None for value in values]
        if spec.datatype not in FLOATS:
            return values
        numbers = [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
        if isinstance(self.contract.columns[spec.name], CategoryColumn):
            return [whole_as_int(number) if isinstance(number, float) else number for number in numbers]
        return numbers

    def _rows(self, values: Sequence[object]) -> list[dict[str, object]]:
        [spec] = self.inputs
        features = self.contract.feature_columns
        width = len(features)
        if spec.datatype == BYTES:  # as rows of a file are written, so numbers are texts too
            rules = rules_of(self.contract)
            cells = zip(cycle([(column, rules[name]) for name, column in features.items()]), values, strict=False)
            read = [text_value(column, rule, value) if isinstance(value, str) else None for (column, rule), value in cells]
        else:
            read = [
                None if value != value else whole_as_int(value) if isinstance(value, float) else value  # noqa: PLR0124 - NaN
                for value in values
            ]
        return [dict(zip(features, read[start : start + width], strict=True)) for start in range(0, len(read), width)]


def input_layout(contract: Contract, inputs: Sequence[TensorSpec], max_records: int) -> InputLayout:
    """Judge names, datatypes and shapes, before any value is read.

    Raises:
        InvalidInference: they do not hold records of this data set, none, or more than the limit.
    """
    if not inputs:
        raise InvalidInference(f"The request has no inputs; expected one for each column of {contract.name!r}, or one with all of them.")
    for spec in inputs:
        require_readable(spec)
    first = inputs[0]
    matrix = len(inputs) == 1 and first.name not in contract.columns and len(first.shape) == _MATRIX
    if matrix:
        _require_width(contract, first)
    else:
        _require_columns(contract, inputs)
    records = first.shape[0]
    if not records:
        raise InvalidInference(f"The request has no records: send at least one of {contract.name!r}.")
    if records > max_records:
        raise InvalidInference(f"The request has {records} records, more than the {max_records} that one request may have: send several.")
    return InputLayout(contract, tuple(inputs), records, matrix)


def _require_width(contract: Contract, spec: TensorSpec) -> None:
    names = contract.feature_names
    if spec.shape[1] != len(names):
        raise InvalidInference(
            f"The input {spec.name!r} is no column of {contract.name!r} and has the shape {list(spec.shape)};"
            f" an input with all features has the shape [n, {len(names)}], in this order: {', '.join(names)}."
        )


def _require_columns(contract: Contract, inputs: Sequence[TensorSpec]) -> None:
    first = inputs[0]
    names: set[str] = set()
    for spec in inputs:
        if spec.name not in contract.columns:
            raise InvalidInference(
                f"{contract.name!r} has no column {spec.name!r}; it has: {', '.join(contract.columns)}."
                f" One input with all features has the shape [n, {len(contract.feature_names)}]."
            )
        if spec.name in names:
            raise InvalidInference(f"The input {spec.name!r} is there twice.")
        names.add(spec.name)
        if not _is_column(spec.shape):
            raise InvalidInference(f"The input {spec.name!r} has the shape {list(spec.shape)}; expected [n] or [n, 1].")
        if spec.shape[0] != first.shape[0]:
            raise InvalidInference(f"The input {first.name!r} has {first.shape[0]} records, but {spec.name!r} has {spec.shape[0]}.")


def _is_column(shape: tuple[int, ...]) -> bool:
    return len(shape) == _COLUMN or (len(shape) == _MATRIX and shape[1] == 1)
