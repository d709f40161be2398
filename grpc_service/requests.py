"""Messages in: the records of a request as checked columns.

All numbers of a request are checked in one step, as one matrix. That only tells whether all values are good: as soon as one is not, or a
record has another form than usual, the records are checked as REST checks them, which names row, column, value and expectation.
"""

from collections.abc import Sequence

import numpy as np
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from grpc_service.errors import InvalidRequest
from grpc_service.v1 import prediction_pb2 as pb
from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns, NeedsFullCheck, RecordParser
from hearth.contracts.records import MAX_PROBLEMS
from hearth.contracts.rules import CategoryRule, InvalidValue, NumberRules, category_rules
from hearth.errors import InvalidRecords, Problem

_MISSING = -1  # the code of a missing text
_UNKNOWN = -1  # in place of the position of a category
_MAX_VALUES = 1_000  # of a record, which a wrong one may have too
_FEW = 8  # up to this number, records are checked without numpy
_EXACT = 2.0**53  # whole numbers below this are the integers that they look like

Records = RepeatedCompositeFieldContainer[pb.Record]


class _NoKind:
    """Stands for a value without a kind; every column refuses it."""

    def __repr__(self) -> str:
        return "a value that is neither number, text nor null"


_NO_KIND = _NoKind()


class RecordReader:
    """Reads requests that are about one data set."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._parser = RecordParser(contract)
        self._rules = NumberRules.of(contract)
        self._numeric = contract.numeric_features
        self._numeric_names = frozenset(self._numeric)
        self._categories = category_rules(contract)

    def count(self, request: pb.PredictRequest) -> int:
        """Return how many records a request has; what it announces is not checked.

        Raises:
            InvalidRequest: it has none, or has them in both forms.
        """
        records = len(request.records)
        if request.HasField("packed"):
            if records:
                raise InvalidRequest("The request has both records and packed records: send one or the other.")
            packed = request.packed
            records = len(packed.numbers[0].values) if packed.numbers else len(packed.texts[0].codes) if packed.texts else 0
        if not records:
            raise InvalidRequest(f"The request has no records: send at least one of {self._contract.name!r}.")
        return records

    def read(self, request: pb.PredictRequest) -> Columns:
        """Return the features of a request's records.

        Raises:
            InvalidRequest: packed columns do not fit each other, or a record has too many values.
            InvalidRecords: with all that is wrong, if anything is.
        """
        if request.HasField("packed"):
            rows = _rows(request.packed, len(self._contract.columns))
            try:
                return self._read_packed_at_once(request.packed, rows)
            except (NeedsFullCheck, InvalidValue):
                return self._parser.parse(_unpacked(request.packed, rows))
        try:
            return self._read_at_once(request.records)
        except (NeedsFullCheck, InvalidValue):
            self._require_few_values(request.records)
            return self._parser.parse([{name: _plain(value) for name, value in record.values.items()} for record in request.records])

    def _require_few_values(self, records: Records) -> None:
        for row, record in enumerate(records):
            if len(record.values) > _MAX_VALUES:
                raise InvalidRequest(
                    f"Record {row} has {len(record.values)} values, more than the {_MAX_VALUES} that are read;"
                    f" {self._contract.name!r} has {len(self._contract.columns)} columns."
                )

    def _read_at_once(self, records: Records) -> Columns:
        numeric, categories = self._numeric, self._categories
        features = len(numeric) + len(categories)
        numbers: list[float | None] = []
        codes: list[int] = []
        for record in records:
            values = record.values
            if len(values) != features:
                raise NeedsFullCheck
            get = values.get  # as a look at what is not there would add it
            for name in numeric:
                value = get(name)
                if value is None:
                    raise NeedsFullCheck
                number: float | None = value.number
                if number == 0 and not value.HasField("number"):
                    _require_null(value)
                    number = None
                elif number != number:  # noqa: PLR0124 - NaN, which is no null here
                    raise NeedsFullCheck
                numbers.append(number)
            for name, rule in categories.items():
                value = get(name)
                if value is None:
                    raise NeedsFullCheck
                code = rule.codes.get(value.text)
                if code is None:
                    _require_null(value)
                    code = rule.value(None)
                codes.append(code)
        return self._checked(numbers, codes, len(records))

    def _read_packed_at_once(self, packed: pb.PackedRecords, rows: int) -> Columns:
        numbers = {column.name: column.values for column in packed.numbers}
        texts = {column.name: column for column in packed.texts}
        if numbers.keys() != self._numeric_names or texts.keys() != self._categories.keys():
            raise NeedsFullCheck
        if rows <= _FEW:
            columns = [numbers[name] for name in self._numeric]
            values = [column[row] for row in range(rows) for column in columns]
            coded = [(rule, texts[name].codes, texts[name].dictionary) for name, rule in self._categories.items()]
            codes = [_category(rule, dictionary, places[row]) for row in range(rows) for rule, places, dictionary in coded]
            return self._checked([None if number != number else number for number in values], codes, rows)  # noqa: PLR0124 - NaN
        matrix = np.empty((rows, len(self._numeric)))
        for position, name in enumerate(self._numeric):
            matrix[:, position] = numbers[name]
        many = np.empty((rows, len(self._categories)), dtype=np.intp)
        for position, (name, rule) in enumerate(self._categories.items()):
            many[:, position] = _categories(rule, texts[name])
        self._rules.require(matrix)
        return Columns(matrix, many)

    def _checked(self, numbers: Sequence[float | None], codes: Sequence[int], rows: int) -> Columns:
        """Return the values of one record after the other as columns. Raises InvalidValue if a number breaks its rule."""
        few = rows <= _FEW
        matrix = np.array(self._rules.values(numbers) if few else numbers, dtype=np.float64).reshape(rows, len(self._numeric))
        if not few:
            self._rules.require(matrix)
        return Columns(matrix, np.array(codes, dtype=np.intp).reshape(rows, len(self._categories)))


def _category(rule: CategoryRule, dictionary: Sequence[str], place: int) -> int:
    """Return the position of one value of a packed column among the categories."""
    if place == _MISSING:
        return rule.value(None)
    if not 0 <= place < len(dictionary):
        raise NeedsFullCheck
    return rule.value(dictionary[place])


def _categories(rule: CategoryRule, column: pb.TextColumn) -> np.ndarray:
    """Return the positions of all values of a packed column, shape (rows,)."""
    places = np.array(column.codes, dtype=np.intp)
    if places.min() < _MISSING or places.max() >= len(column.dictionary):
        raise NeedsFullCheck
    # The position of a missing text is the last entry, which -1 finds
    table = [rule.codes.get(text, _UNKNOWN) for text in (*column.dictionary, None)]
    codes: np.ndarray = np.array(table, dtype=np.intp)[places]
    if codes.min() == _UNKNOWN:
        raise NeedsFullCheck
    return codes


def _require_null(value: pb.Value) -> None:
    if not value.HasField("null"):
        raise NeedsFullCheck


def _plain(value: pb.Value) -> object:
    kind = value.WhichOneof("kind")
    if kind == "number":
        return _integer_if_whole(value.number)
    return value.text if kind == "text" else None if kind == "null" else _NO_KIND


def _integer_if_whole(number: float) -> float:
    """Return 7 for 7.0, as a person writes it."""
    return int(number) if -_EXACT < number < _EXACT and number.is_integer() else number


def _rows(packed: pb.PackedRecords, most_columns: int) -> int:
    """Return the length that all columns have.

    Raises:
        InvalidRequest: they differ, a column is there twice, or there are more than the contract has.
    """
    lengths = [(column.name, len(column.values)) for column in packed.numbers]
    lengths += [(column.name, len(column.codes)) for column in packed.texts]
    if len(lengths) > most_columns:
        raise InvalidRequest(f"The packed records have {len(lengths)} columns, the contract has {most_columns}.")
    first, rows = lengths[0]
    names: set[str] = set()
    for name, length in lengths:
        if length != rows:
            raise InvalidRequest(f"The packed column {first!r} has {rows} values, but {name!r} has {length}: give one a record in each.")
        if name in names:
            raise InvalidRequest(f"The packed column {name!r} is there twice.")
        names.add(name)
    return rows


def _unpacked(packed: pb.PackedRecords, rows: int) -> list[dict[str, object]]:
    records: list[dict[str, object]] = [{} for _ in range(rows)]
    problems: list[Problem] = []
    wrong = 0
    for column in packed.numbers:
        for record, number in zip(records, column.values, strict=True):
            record[column.name] = None if np.isnan(number) else _integer_if_whole(number)
    for texts in packed.texts:
        dictionary = list(texts.dictionary)
        for row, (record, code) in enumerate(zip(records, texts.codes, strict=True)):
            if not _MISSING <= code < len(dictionary):
                expected = f"a position in the column's dictionary of {len(dictionary)} texts, or -1 for a missing one"
                wrong += 1
                if len(problems) < MAX_PROBLEMS:
                    problems.append(Problem(row, texts.name, code, expected))
            else:
                record[texts.name] = None if code == _MISSING else dictionary[code]
    if problems:
        raise InvalidRecords(problems, wrong)
    return records
