"""The inputs of `benchmarks.bombs`: small things that hold, or mean, large ones."""

import contextlib
import io
import json
import socket
from collections.abc import Iterator
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness.model import DATA
from benchmarks.harness.requests import Records, fake_requests
from grpc_service.encoding import record_message
from grpc_service.v1 import prediction_pb2 as pb
from hearth.contracts import load_contract
from hearth.contracts.names import graphql_names


@cache
def records(count: int) -> Records:
    """Return good records."""
    return fake_requests(count)[0]


def records_body(count: int) -> bytes:
    """Return the body of a request with good records."""
    return json.dumps({"data": list(records(count))}).encode()


def wrong_keys(count: int, keys: int) -> bytes:
    """Return a body whose records have unknown keys only."""
    record = "{" + ",".join(f'"k{number}":1' for number in range(keys)) + "}"
    return ('{"data":[' + ",".join([record] * count) + "]}").encode()


def small_csv() -> bytes:
    """Return a file with one good row."""
    [record] = records(1)
    return (",".join(record) + "\n" + ",".join(map(str, record.values())) + "\n").encode()


def blank_columns(columns: int) -> bytes:
    """Return 100 KB of CSV whose header has blank columns behind the features, and whose rows have one cell."""
    header = ",".join(load_contract("employees", DATA).feature_names) + "," * columns + "\n"
    return header.encode() + b"1\n" * max(1_000, (100_000 - len(header)) // 2)


def _alike(rows: int, **columns: pa.Array) -> bytes:
    zeros = pa.array(np.zeros(rows, np.int32))
    [record] = records(1)
    arrays = {name: pa.array([value]) for name, value in record.items()} | columns
    table = pa.table({name: pa.DictionaryArray.from_arrays(zeros, array) for name, array in arrays.items()})
    sink = io.BytesIO()
    pq.write_table(table, sink, store_schema=False, compression="zstd", row_group_size=1_000_000)
    return sink.getvalue()


def repeated_text(rows: int, size: int) -> bytes:
    """Return a Parquet file of a few kilobytes in which all rows have one long text."""
    return _alike(rows, note=pa.array(["x" * size]))


@cache
def many_rows(rows: int) -> bytes:
    """Return a Parquet file of equal rows."""
    return _alike(rows)


def graphql_text(query: str) -> bytes:
    """Return the body of a query without variables."""
    return json.dumps({"query": query}).encode()


def graphql_records(count: int, aliases: int = 1) -> bytes:
    """Return a query that predicts the same records under each alias."""
    fields = " ".join(f"a{number}: predict(records: $records) {{ predictions {{ label }} }}" for number in range(aliases))
    names = graphql_names(load_contract("employees", DATA).feature_names)
    made = [{names[name]: value for name, value in record.items()} for record in records(count)]
    return json.dumps({"query": f"query ($records: Records!) {{ {fields} }}", "variables": {"records": {"employees": made}}}).encode()


def aliases(count: int) -> str:
    """Return a query with aliases of one field."""
    return "{ " + " ".join(f"h{number}:health{{status}}" for number in range(count)) + " }"


def graphql_deep(depth: int) -> bytes:
    """Return a query whose variables are nested."""
    query = json.dumps("query ($records: Records!) { predict(records: $records) { version } }")
    return f'{{"query": {query}, "variables": {{"records": {"[" * depth}{"]" * depth}}}}}'.encode()


def grpc_records(count: int) -> pb.PredictRequest:
    """Return a request with good records."""
    return pb.PredictRequest(records=[record_message(record) for record in records(count)])


def wide_record(columns: int) -> pb.PredictRequest:
    """Return a request with one record of many columns."""
    return pb.PredictRequest(records=[record_message({f"c{number}": number for number in range(columns)})])


@contextlib.contextmanager
def slow_upload(host: str, port: int) -> Iterator[socket.socket]:
    """Begin an upload and send no more."""
    with socket.create_connection((host, port)) as peer:
        peer.sendall(b"POST /predict/csv HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nGender,")
        yield peer


def send_headers(host: str, port: int, size: int) -> int:
    """Send one header of many bytes until the service closes the connection; return how many it took."""
    sent = 0
    with socket.create_connection((host, port)) as peer, contextlib.suppress(ConnectionError):
        peer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
        while sent < size:
            peer.sendall(b"x" * 100_000)
            sent += 100_000
    return sent
