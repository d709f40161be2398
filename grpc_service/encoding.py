"""Records as messages, for callers."""

from collections.abc import Mapping, Sequence
from math import nan

from grpc_service.v1 import prediction_pb2 as pb

Record = Mapping[str, object]

_NULL = pb.Value(null="NULL_VALUE")


def record_message(record: Record) -> pb.Record:
    """Return a record as a map of values; None stands for a missing value.

    Raises:
        TypeError: a value is neither a number, a text nor None.
    """
    return pb.Record(values={name: _value(value) for name, value in record.items()})


def packed_message(records: Sequence[Record]) -> pb.PackedRecords:
    """Return records column by column; a column with any text is a text column. All records have the columns of the first.

    Raises:
        TypeError: a column mixes numbers and texts, or holds something else.
        KeyError: a record lacks a column.
    """
    message = pb.PackedRecords()
    for name in records[0]:
        values = [record[name] for record in records]
        if any(isinstance(value, str) for value in values):
            _add_texts(message, name, values)
        else:
            message.numbers.add(name=name, values=[nan if value is None else _number(name, value) for value in values])
    return message


def _add_texts(message: pb.PackedRecords, name: str, values: Sequence[object]) -> None:
    codes: dict[str, int] = {}
    for value in values:
        if isinstance(value, str):
            codes.setdefault(value, len(codes))
        elif value is not None:
            raise TypeError(f"the column {name!r} holds {value!r} beside texts")
    message.texts.add(name=name, dictionary=list(codes), codes=[codes[value] if isinstance(value, str) else -1 for value in values])


def _value(value: object) -> pb.Value:
    if value is None:
        return _NULL
    if isinstance(value, str):
        return pb.Value(text=value)
    return pb.Value(number=_number("", value))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        place = f"the column {name!r} holds " if name else ""
        raise TypeError(f"{place}{value!r}, which is neither a number, a text nor None")
    return value
