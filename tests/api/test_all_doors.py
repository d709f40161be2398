"""A value is judged the same wherever it comes in: one table of values goes through all doors of a running Hearth.

A door has types or it has not. Files of texts (the ETL's raw file, an uploaded CSV, a Parquet column of texts) have only texts: there a
number is written, blanks around a value are layout, and words stand for what is missing. JSON, GraphQL, Protobuf and Arrow have numbers,
texts and null: a text is no number, is exact, and never means null. Each row of the table has a value in both forms; where a door's types
make its verdict another, the row says which and why.
"""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import grpc
import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from grpc_service.server import running_server
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.contracts import Contract
from hearth.contracts.loading import read_contract
from hearth.contracts.texts import MISSING
from hearth.data.csv_validation import read_raw, validate
from hearth.registry import RegisteredVersion, StoredModel
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_follower import ModelFollower
from hearth.settings import GrpcSettings
from hearth.streaming.client import Entry
from hearth.streaming.worker.scoring import score
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support.fake_registry import stored
from tests.support.models import FakeRegistry, good_record

NAME = "doors"
CONTRACT = {
    "name": NAME,
    "title": "A column of every kind",
    "description": "for one test",
    "source": {"file": "doors.csv"},
    "target": {"column": "y", "classes": ["no", "yes"]},
    "metric": "accuracy",
    "families": ["knn"],
    "drop": ["key", "day"],
    "columns": {
        "whole": {"kind": "integer", "description": "d", "minimum": 0, "maximum": 2000, "unit": "u"},
        "dose": {"kind": "integer", "description": "d", "minimum": 0, "maximum": 2000, "unit": "u", "nullable": True},
        "real": {"kind": "number", "description": "d", "minimum": -5, "maximum": 2000, "unit": "u"},
        "score": {"kind": "number", "description": "d", "minimum": -5, "maximum": 2000, "unit": "u", "nullable": True},
        "colour": {"kind": "category", "description": "d", "categories": ["red", "blue"]},
        "shade": {"kind": "category", "description": "d", "categories": ["dark", "None"], "nullable": True},
        "sex": {"kind": "category", "description": "d", "categories": {0: "female", 1: "male"}},
        "grade": {"kind": "category", "description": "d", "categories": {1: "first", 2: "second"}, "nullable": True},
        "key": {"kind": "identifier", "description": "d"},
        "day": {"kind": "date", "description": "d", "minimum": "2000-01-01", "maximum": "2020-12-31"},
        "y": {"kind": "integer", "description": "d", "minimum": 0, "maximum": 1, "unit": "class"},
    },
}
DROPPED = {"key", "day"}


class Verdict:
    """What a door says without a value."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


REFUSED = Verdict("REFUSED")
ACCEPTED = Verdict("ACCEPTED")
"""The record is good; the model never gets this column."""

TEXT = ("etl", "csv", "parquet of texts", "v2 rows of texts", "invocations csv")
JSON = ("rest", "graphql", "stream", "invocations")
MANY = 40
"""Records are checked in another way from a number on: one value by one, or all at once."""
TYPED = (*JSON, "v2", "grpc map", "grpc packed", "parquet", *(f"{door}, {MANY} records" for door in ("rest", "grpc map", "grpc packed")))


@dataclass(frozen=True)
class Case:
    """A value of a column.

    `text` is a cell of a text file, `json` the same as JSON writes it; None where there is no such form. `result` is what the model gets
    at every door, None for a missing value. `differing` has another result for some doors, and why their types make it so.
    """

    column: str
    text: str | None
    json: str | None
    result: object
    differing: tuple[tuple[tuple[str, ...], object, str], ...] = ()

    def expected(self, door: str) -> object:
        return next((result for doors, result, _ in self.differing if door in doors), self.result)


IS_TEXT = (TYPED, REFUSED, "a text is no number, and does not mean null, where there are numbers and null")
EXACT = (TYPED, REFUSED, "a text is exact where it does not stand in a text file, in which blanks are layout")
EMPTY = (
    tuple(door for door in TYPED if door != "v2"),
    REFUSED,
    "an empty text does not mean null where there is null; a tensor of texts has none",
)
NAN = (
    ("rest", "graphql", "stream", "grpc map", f"rest, {MANY} records", f"grpc map, {MANY} records"),
    REFUSED,
    "NaN is a number outside every range where there is null; Arrow, packed columns, tensors and the JSON of pandas have NaN for it",
)
NO_FEATURE = ((*TYPED, "invocations csv"), ACCEPTED, "a record need not hold a column that is no feature; a raw file has to")
MANY_DIGITS = "9" * 5_000

CASES = [
    # A whole number that must be there
    Case("whole", "3", "3", 3.0),
    Case("whole", "3.0", "3.0", 3.0),
    Case("whole", "1e3", "1e3", 1000.0),
    Case("whole", " 5 ", " 5 ", 5.0),
    Case("whole", "\u20035\x1c", None, 5.0),
    Case("whole", "+5", None, 5.0),
    Case("whole", "05", None, 5.0),
    Case("whole", "-0", "-0", 0.0),
    Case("whole", "0", "0", 0.0),
    Case("whole", "2000", "2000", 2000.0),
    Case("whole", "2001", "2001", REFUSED),
    Case("whole", "-1", "-1", REFUSED),
    Case("whole", "2.5", "2.5", REFUSED),
    Case("whole", "2,5", '"2,5"', REFUSED),
    Case("whole", "1_000", '"1_000"', REFUSED),
    Case("whole", "1 000", '"1 000"', REFUSED, ((("etl", "csv"), 1000.0, "a text file may have a mark between thousands"),)),
    Case("whole", "0x10", '"0x10"', REFUSED),
    Case("whole", "three", '"three"', REFUSED),
    Case("whole", "٣", '"٣"', REFUSED),
    Case("whole", "?", '"?"', REFUSED),
    Case("whole", "-", '"-"', REFUSED),
    Case("whole", "3", '"3"', 3.0, (IS_TEXT,)),
    Case("whole", "true", "true", REFUSED),
    Case("whole", "false", "false", REFUSED),
    Case("whole", "inf", "Infinity", REFUSED),
    Case("whole", "-Infinity", "-Infinity", REFUSED),
    Case("whole", "1e999", "1e999", REFUSED),
    Case("whole", MANY_DIGITS, MANY_DIGITS, REFUSED),
    Case("whole", "9" * 4_000, "9" * 4_000, REFUSED),
    Case("whole", f"0.{MANY_DIGITS}", f"0.{MANY_DIGITS}", 1.0),
    Case("whole", "", "null", REFUSED),
    Case("whole", " ", "null", REFUSED),
    Case("whole", "nan", "NaN", REFUSED),
    Case("whole", "[3]", "[3]", REFUSED),
    Case("whole", "{}", "{}", REFUSED),
    # A whole number that may be missing
    Case("dose", "3", "3", 3.0),
    Case("dose", "", "null", None),
    Case("dose", "  ", "null", None),
    Case("dose", "NaN", "NaN", None, (NAN,)),
    *(Case("dose", word, json.dumps(word), None, (IS_TEXT if word else EMPTY,)) for word in sorted(MISSING)),
    Case("dose", "?", '"?"', REFUSED),
    Case("dose", "2.5", "2.5", REFUSED),
    Case("dose", MANY_DIGITS, MANY_DIGITS, REFUSED),
    # Real numbers
    Case("real", "-5", "-5", -5.0),
    Case("real", "-5.000001", "-5.000001", REFUSED),
    Case("real", "0.1", "0.1", 0.1),
    Case("real", "0.30000000000000004", "0.30000000000000004", 0.1 + 0.2),
    Case("real", "1.7976931348623157e-308", "1.7976931348623157e-308", 1.7976931348623157e-308),
    Case("real", ".5", None, 0.5),
    Case("real", "5.", None, 5.0),
    Case("real", "+1E+3", None, 1000.0),
    Case("real", "1e999", "1e999", REFUSED),
    Case("real", "", "null", REFUSED),
    Case("real", "0,5", '"0,5"', REFUSED),
    Case("real", "true", "true", REFUSED),
    Case("score", "", "null", None),
    Case("score", "nan", "NaN", None, (NAN,)),
    Case("score", "inf", "Infinity", REFUSED),
    Case("score", "2000.5", "2000.5", REFUSED),
    # Categories that are texts
    Case("colour", "red", '"red"', "red"),
    Case("colour", " blue ", '" blue "', "blue", (EXACT,)),
    Case("colour", "Red", '"Red"', REFUSED),
    Case("colour", "green", '"green"', REFUSED),
    Case("colour", "?", '"?"', REFUSED),
    Case("colour", "", '""', REFUSED),
    Case("colour", "", "null", REFUSED),
    Case("colour", "NA", '"NA"', REFUSED),
    Case("colour", "0", "0", REFUSED),
    Case("colour", "true", "true", REFUSED),
    Case("colour", "NaN", "NaN", REFUSED),
    Case("colour", MANY_DIGITS, f'"{MANY_DIGITS}"', REFUSED),
    Case("colour", "[]", "[]", REFUSED),
    Case("shade", "dark", '"dark"', "dark"),
    Case("shade", "", "null", None),
    Case("shade", "NA", '"NA"', None, (IS_TEXT,)),
    Case("shade", "", '""', None, (EMPTY,)),
    Case("shade", "None", '"None"', "None"),  # is a category here
    Case("shade", "?", '"?"', REFUSED),
    # Categories that are whole numbers
    Case("sex", "1", "1", "1"),
    Case("sex", "1.0", "1.0", "1"),
    Case("sex", "1.", None, "1"),
    Case("sex", "+1", None, "1"),
    Case("sex", "+1.0", None, "1"),
    Case("sex", "+-1.0", None, REFUSED),
    Case("sex", " 0 ", " 0 ", "0"),
    Case("sex", "-0", "-0", "0"),
    Case("sex", "-0.0", "-0.0", "0"),
    Case("sex", "01", None, REFUSED),
    Case("sex", "1e0", "1e0", "1", ((TEXT, REFUSED, "in a text file a code is its digits; as a number 1e0 is 1"),)),
    Case("sex", "1.5", "1.5", REFUSED),
    Case("sex", "2", "2", REFUSED),
    Case("sex", "male", '"male"', REFUSED),
    Case("sex", "1", '"1"', "1", (IS_TEXT,)),
    Case("sex", "true", "true", REFUSED, ((TEXT, "1", "tables write true and false for the codes 1 and 0"),)),
    Case("sex", "", "null", REFUSED),
    Case("sex", "NaN", "NaN", REFUSED),
    Case("sex", "\u0661", '"\u0661"', REFUSED),
    Case("sex", MANY_DIGITS, MANY_DIGITS, REFUSED),
    Case("grade", "2", "2", "2"),
    Case("grade", "2.0", "2.0", "2"),
    Case("grade", "", "null", None),
    Case("grade", "nan", "NaN", None, (NAN,)),
    Case("grade", "0", "0", REFUSED),
    # Dates, which are never features
    Case("day", "2008-09-30", '"2008-09-30"', date(2008, 9, 30)),
    Case("day", " 2008-09-30 ", '" 2008-09-30 "', date(2008, 9, 30), (EXACT,)),
    Case("day", "2000-01-01", '"2000-01-01"', date(2000, 1, 1)),
    Case("day", "1999-12-31", '"1999-12-31"', REFUSED),
    Case("day", "2021-01-01", '"2021-01-01"', REFUSED),
    Case("day", "2008-02-30", '"2008-02-30"', REFUSED),
    Case("day", "2008-9-30", '"2008-9-30"', REFUSED),
    Case("day", "30.09.2008", '"30.09.2008"', REFUSED),
    Case("day", "20080930", '"20080930"', REFUSED),
    Case(
        "day",
        "2008-09-30T00:00:00",
        '"2008-09-30T00:00:00"',
        REFUSED,
        ((TEXT, date(2008, 9, 30), "tables write midnight behind a date that has no time of day"),),
    ),
    Case("day", "٢٠٠٨-09-30", '"٢٠٠٨-09-30"', REFUSED),
    Case("day", "1222732800", "1222732800", REFUSED),
    Case("day", "?", '"?"', REFUSED),
    Case("day", "", "null", REFUSED, (NO_FEATURE,)),
    # Identifiers, which are never features
    Case("key", "a1", '"a1"', "a1"),
    Case("key", "٣", '"٣"', "٣"),
    Case("key", " a1 ", '" a1 "', "a1"),
    Case("key", MANY_DIGITS, f'"{MANY_DIGITS}"', MANY_DIGITS),
    Case("key", "17", "17", "17", ((TYPED, REFUSED, "a number is no text where there are both"),)),
    Case(
        "key",
        "",
        '""',
        REFUSED,
        ((("v2", "invocations csv"), ACCEPTED, "missing, and a record need not hold a column that is no feature"),),
    ),
    Case("key", " ", '" "', REFUSED, ((TYPED, ACCEPTED, "a text is exact, so one of blanks is not empty"), NO_FEATURE)),
    Case("key", "NA", '"NA"', REFUSED, ((TYPED, ACCEPTED, "a text does not mean null where there is null"), NO_FEATURE)),
    Case("key", "", "null", REFUSED, (NO_FEATURE,)),
]


class Witness:
    """A model that keeps what it was asked to score."""

    frame: ClassVar[pd.DataFrame]

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        Witness.frame = frame
        return np.tile([0.25, 0.75], (len(frame), 1))

    @classmethod
    def value(cls, column: str, rows: int = 1) -> object:
        assert len(cls.frame) == rows
        if column in DROPPED:
            assert column not in cls.frame
            return ACCEPTED
        return plain(cls.frame[column].iloc[-1])


class DoorsShelf(FakeRegistry):
    """A registry of this data set alone."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(Witness(), champion="1")
        self._contract = contract

    def aliases(self, dataset: str) -> dict[str, str]:
        return dict(self.carried) if dataset == NAME else {}

    def load_with_example(self, version: RegisteredVersion) -> StoredModel:
        assert version.dataset == NAME
        example = pd.DataFrame([good_record(self._contract)]).astype({"sex": "str", "grade": "str"})
        return stored(self.model, example)


def plain(value: Any) -> object:
    """Return a value of a frame, None if it is missing."""
    if pd.isna(value):
        return None
    if isinstance(value, float):
        return float(value) + 0.0  # -0.0 becomes 0.0
    return value.date() if isinstance(value, pd.Timestamp) else value


def parsed(token: str) -> Any:
    """Return what a JSON token means, numbers of thousands of digits too."""
    return json.loads(token, parse_int=lambda digits: int(digits) if len(digits) < 18 else float(digits))


@dataclass
class Doors:
    """The ways in of one running Hearth, each from a column's value to what became of it."""

    contract: Contract
    http: httpx.Client
    grpc: PredictionStub
    model: LoadedModel
    good: dict[str, object] = field(init=False)
    cells: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.good = good_record(self.contract)
        self.cells = {**{name: str(value) for name, value in self.good.items()}, "key": "k", "day": "2008-01-01", "y": "1"}

    def through(self, door: str, case: Case) -> object:
        """Return what became of a value at a door; NotImplemented if the door has no such type, or no such column."""
        by_name: Mapping[str, Callable[[str, str], object]] = {
            "etl": self.etl,
            "csv": self.csv,
            "parquet of texts": self.parquet_of_texts,
            "parquet": self.parquet,
            "rest": self.rest,
            "graphql": self.graphql,
            "v2": self.v2,
            "v2 rows of texts": self.v2_rows,
            "invocations": self.invocations,
            "invocations csv": self.invocations_csv,
            "stream": self.stream,
            "grpc map": self.grpc_map,
            "grpc packed": self.grpc_packed,
            f"rest, {MANY} records": partial(self.rest, rows=MANY),
            f"grpc map, {MANY} records": partial(self.grpc_map, rows=MANY),
            f"grpc packed, {MANY} records": partial(self.grpc_packed, rows=MANY),
        }
        form = case.text if door in TEXT else case.json
        return NotImplemented if form is None else by_name[door](case.column, form)

    def etl(self, column: str, text: str) -> object:
        validated = validate(self.contract, read_raw(self.contract, self._table(column, text), "doors.csv"))
        assert len(validated.accepted) + len(validated.rejected) == 2, "one row, and a good one beside it"
        if len(validated.rejected):
            assert validated.rejected["reason"][0].startswith(f"{column}: ")
            return REFUSED
        if validated.warnings:  # of a dropped column, which rejects no row
            assert f": {column}: " in validated.warnings[0]
            assert pd.isna(validated.accepted[column].iloc[0])
            return REFUSED
        return plain(validated.accepted[column].iloc[0])

    def csv(self, column: str, text: str) -> object:
        if column in DROPPED:
            return NotImplemented  # an uploaded file keeps its other columns as they are
        content = self._table(column, text, rows=1)
        answer = self.http.post(f"/{NAME}/predict/csv", content=content, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 200, answer.text
        [row] = csv.DictReader(io.StringIO(answer.text, newline=""))
        if row["error"]:
            assert row["error"].startswith(f"{column}: ")
            return REFUSED
        return Witness.value(column)

    def parquet_of_texts(self, column: str, text: str) -> object:
        return self._parquet(column, pa.array([text]))

    def parquet(self, column: str, token: str) -> object:
        value = parsed(token)
        if isinstance(value, str | list | dict):
            return NotImplemented  # texts have a door of their own; nothing nested is a value
        if value is None:
            return self._parquet(column, pa.array([None], pa.string() if column in {"colour", "shade"} else pa.float64()))
        return self._parquet(column, pa.array([value]))

    def _parquet(self, column: str, values: pa.Array) -> object:
        if column in DROPPED:
            return NotImplemented
        columns = {name: pa.array([value]) for name, value in self.good.items()} | {column: values}
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink)
        answer = self.http.post(f"/{NAME}/predict/parquet", content=sink.getvalue())
        if answer.status_code == 422:  # the whole column has a type that none of its values can have
            assert f"'{column}' has the type" in answer.json()["detail"]
            return REFUSED
        assert answer.status_code == 200, answer.text
        [row] = pq.read_table(io.BytesIO(answer.content)).to_pylist()
        if row["error"]:
            assert row["error"].startswith(f"{column}: ")
            return REFUSED
        return Witness.value(column)

    def _json(self, column: str, token: str) -> bytes:
        """A record as JSON with a token that Python would write in another way."""
        text = json.dumps({**self.good, column: "@"})
        return text.replace('"@"', token).encode()

    def rest(self, column: str, token: str, rows: int = 1) -> object:
        records = b", ".join([json.dumps(self.good).encode()] * (rows - 1) + [self._json(column, token)])
        answer = self.http.post(f"/{NAME}/predict", content=b'{"data": [%s]}' % records)
        if answer.status_code == 200:
            return Witness.value(column, rows)
        body = answer.json()
        assert (answer.status_code, body["error"]) in {(422, "invalid_records"), (422, "invalid_body")}, body
        assert body["error"] == "invalid_body" or [problem["column"] for problem in body["errors"]] == [column]
        return REFUSED

    def _http(self, column: str, path: str, body: bytes, media_type: str = "application/json") -> object:
        answer = self.http.post(path, content=body, headers={"Content-Type": media_type})
        if answer.status_code == 200:
            return Witness.value(column)
        assert answer.status_code in {400, 422}, answer.text
        assert repr(column) in answer.text or "The body is not JSON" in answer.text, answer.text
        return REFUSED

    def v2(self, column: str, token: str) -> object:
        """A tensor for each column; its datatype is that of the value, or, of null, that of the column."""
        if isinstance(value := parsed(token), bool | list | dict):
            return NotImplemented
        names_of_texts = {"colour", "shade", *DROPPED}
        is_text = column in names_of_texts if value is None else isinstance(value, str)
        cells = {name: (isinstance(one, str), json.dumps(one)) for name, one in self.good.items()} | {column: (is_text, token)}
        inputs = [
            b'{"name": "%s", "shape": [1], "datatype": "%s", "data": [%s]}' % (name.encode(), b"BYTES" if text else b"FP64", data.encode())
            for name, (text, data) in cells.items()
        ]
        return self._http(column, f"/v2/models/{NAME}/infer", b'{"inputs": [%s]}' % b", ".join(inputs))

    def v2_rows(self, column: str, text: str) -> object:
        """One tensor of texts with all features."""
        if column in DROPPED:
            return NotImplemented
        row = [text if name == column else str(value) for name, value in self.good.items()]
        tensor = {"name": "input-0", "shape": [1, len(row)], "datatype": "BYTES", "data": row}
        return self._http(column, f"/v2/models/{NAME}/infer", json.dumps({"inputs": [tensor]}).encode())

    def invocations(self, column: str, token: str) -> object:
        return self._http(column, "/invocations", b'{"dataframe_records": [%s]}' % self._json(column, token))

    def invocations_csv(self, column: str, text: str) -> object:
        return self._http(column, "/invocations", self._table(column, text, rows=1), "text/csv")

    def graphql(self, column: str, token: str) -> object:
        if column in DROPPED:
            return NotImplemented  # an input type has the features alone
        query = "query ($records: Records!) { predict(records: $records) { version } }"
        variables = b'{"records": {"%s": [%s]}}' % (NAME.encode(), self._json(column, token))
        answer = self.http.post(
            "/graphql",
            content=b'{"query": %s, "variables": %s}' % (json.dumps(query).encode(), variables),
            headers={"Content-Type": "application/json"},
        )
        if answer.status_code == 200 and "errors" not in answer.json():
            return Witness.value(column)
        assert answer.status_code in {200, 400, 422}, answer.text
        return REFUSED

    def stream(self, column: str, token: str) -> object:
        entry = Entry("1-0", {b"dataset": NAME.encode(), b"records": b"[%s]" % self._json(column, token)})
        scored = score(self.model, self.contract, [entry])
        if scored.letters:
            assert not scored.block.records
            return REFUSED
        return Witness.value(column)

    def grpc_map(self, column: str, token: str, rows: int = 1) -> object:
        value = parsed(token)
        if isinstance(value, bool | list | dict):
            return NotImplemented  # a value of the interface has no such type
        records = [self.good] * (rows - 1) + [{**self.good, column: value}]
        messages = [pb.Record(values={name: message(one) for name, one in record.items()}) for record in records]
        return self._grpc(column, pb.PredictRequest(dataset=NAME, records=messages), rows)

    def grpc_packed(self, column: str, token: str, rows: int = 1) -> object:
        value = parsed(token)
        if isinstance(value, bool | list | dict):
            return NotImplemented
        packed = pb.PackedRecords()
        for name, last in {**self.good, column: value}.items():
            values = [self.good.get(name, last)] * (rows - 1) + [last]
            kinds = {type(one) for one in values if one is not None}
            if str in kinds and kinds != {str}:
                return NotImplemented  # a column has numbers or texts
            if kinds == {str} or (not kinds and name in DROPPED):
                texts = sorted({one for one in values if isinstance(one, str)})
                packed.texts.add(name=name, dictionary=texts, codes=[-1 if one is None else texts.index(str(one)) for one in values])
            elif not kinds and name in {"colour", "shade"}:
                packed.texts.add(name=name, codes=[-1])
            else:
                packed.numbers.add(name=name, values=[np.nan if one is None else float(one) for one in values])  # type: ignore[arg-type]
        return self._grpc(column, pb.PredictRequest(dataset=NAME, packed=packed), rows)

    def _grpc(self, column: str, request: pb.PredictRequest, rows: int) -> object:
        answer = self.grpc.Predict.future(request, timeout=20)
        if (error := answer.exception()) is None:
            return Witness.value(column, rows)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
        assert f"'{column}'" in error.details()
        return REFUSED

    def _table(self, column: str, text: str, rows: int = 2) -> bytes:
        sink = io.StringIO(newline="")
        writer = csv.writer(sink)
        writer.writerow(self.cells)
        writer.writerow({**self.cells, column: text}.values())
        writer.writerows([self.cells.values()] * (rows - 1))
        return sink.getvalue().encode()


def message(value: object) -> pb.Value:
    if value is None:
        return pb.Value(null="NULL_VALUE")
    return pb.Value(text=value) if isinstance(value, str) else pb.Value(number=value)  # type: ignore[arg-type]


@contextmanager
def grpc_service(contract: Contract, data_dir: Path) -> Iterator[PredictionStub]:
    """A real gRPC server in a thread of its own."""
    options = GrpcSettings(
        environment="laptop",
        data_dir=data_dir,
        mlflow_tracking_uri="http://127.0.0.1:9",
        predictions_url="postgresql://127.0.0.1:9/none",
        api_default_dataset=NAME,
        grpc_host="127.0.0.1",
        grpc_port=0,
        record_predictions="none",
    )
    loop, stop, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    port = 0

    with ModelFollower(DoorsShelf(contract), {NAME: contract}, 60) as models:
        models.wait_until_polled(30)

        async def serve() -> None:
            nonlocal port
            async with running_server(options, {NAME: contract}, models) as port:
                started.set()
                await stop.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        assert started.wait(20)
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield PredictionStub(channel)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            loop.close()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    data_dir = tmp_path_factory.mktemp("data")
    path = data_dir / NAME / "contract.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(CONTRACT, sort_keys=False), "utf-8")
    contract = read_contract(path)
    shelf = DoorsShelf(contract)
    model = LoadedModel("champion", shelf.version(NAME, "1"), CompiledScorer(Witness(), contract), datetime.now(UTC))
    with ExitStack() as stack:
        app = create_app(service_settings(data_dir=data_dir, api_default_dataset=NAME), shelf)
        http = stack.enter_context(running(app))
        stub = stack.enter_context(grpc_service(contract, data_dir))
        yield Doors(contract, http, stub, model)


def name_of(case: Case) -> str:
    return f"{case.column}: {(case.text or '')[:20]!r}, {(case.json or '')[:20]}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_value_is_judged_the_same_at_every_door(doors: Doors, case: Case) -> None:
    results = {door: doors.through(door, case) for door in (*TEXT, *TYPED)}

    judged = {door: result for door, result in results.items() if result is not NotImplemented}
    expected = {door: case.expected(door) for door in judged}
    if case.column in DROPPED:  # only the ETL keeps the value
        expected = {door: ACCEPTED if door != "etl" and result is not REFUSED else result for door, result in expected.items()}
    assert {door: repr(result) for door, result in judged.items()} == {door: repr(result) for door, result in expected.items()}
    assert len(judged) >= (1 if case.json is None else 2), "no two doors have judged the value"


def test_every_kind_of_column_goes_through_every_door_that_has_it(doors: Doors) -> None:
    judged = {(case.column, door) for case in CASES for door in (*TEXT, *TYPED) if (case.text if door in TEXT else case.json) is not None}

    assert judged == {(column, door) for column in doors.contract.columns if column != "y" for door in (*TEXT, *TYPED)}


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", '"many"', "true", "2.5"])
def test_a_bad_value_in_a_message_of_three_records_refuses_that_record_alone(doors: Doors, token: str) -> None:
    good = json.dumps({**doors.good, "whole": 7}).encode()
    entry = Entry("1-0", {b"dataset": NAME.encode(), b"records": b"[%s, %s, %s]" % (good, doors._json("whole", token), good)})

    scored = score(doors.model, doors.contract, [entry])

    assert scored.block.rows == [0, 2]
    assert [record["whole"] for record in scored.block.records] == [7, 7]
    [letter] = scored.letters
    assert "row 1, 'whole'" in letter.reason


def test_a_row_of_another_width_is_refused_alone_in_a_raw_file_and_in_an_upload(doors: Doors) -> None:
    good = doors._table("whole", "3", rows=1).decode().splitlines()[1]
    lines = [",".join(doors.cells), good, f"{good},", f"{good},more", good.rpartition(",")[0], "   ", good]
    content = "\n".join([*lines, ""]).encode()

    validated = validate(doors.contract, read_raw(doors.contract, content, "doors.csv"))
    answer = doors.http.post(f"/{NAME}/predict/csv", content=content, headers={"Content-Type": "text/csv"})

    reasons = [row["error"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))]
    assert [bool(reason) for reason in reasons] == [False, True, True, True, True, False]
    assert validated.rejected["reason"].tolist() == [reason for reason in reasons if reason]
    assert len(validated.accepted) == 2


def test_a_comma_at_the_end_of_each_line_is_read_in_a_raw_file_and_in_an_upload(doors: Doors) -> None:
    content = doors._table("whole", "3").replace(b"\r\n", b",\r\n")

    validated = validate(doors.contract, read_raw(doors.contract, content, "doors.csv"))
    answer = doors.http.post(f"/{NAME}/predict/csv", content=content, headers={"Content-Type": "text/csv"})

    assert validated.accepted["whole"].tolist() == [3.0, float(doors.cells["whole"])]
    assert [row["error"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))] == ["", ""]
