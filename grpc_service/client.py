"""Requests predictions from the gRPC service and prints them: `python -m grpc_service.client --mode batch|stream`.

Records are fake ones of the data set, or the rows of a CSV file with its columns (`--file`). Batch mode sends all of them in one call;
stream mode sends each in a message of its own over one call, at most `--rate` messages a second.
"""

import argparse
import asyncio
import csv
import sys
import time
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path

import grpc

from grpc_service.encoding import Record, packed_message, record_message
from grpc_service.errors import error_of
from grpc_service.tls import channel_credentials
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.column_types import Column
from hearth.errors import HearthError
from hearth.fakes import FakeRecords
from hearth.settings import GrpcClientSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every record was scored."""
    try:
        options = _parser().parse_args(arguments)
        contract = load_contract(options.dataset)
        records = csv_records(contract, options.file, options.records) if options.file else _fake_records(contract, options)
        if not records:
            print(f"{options.file} has no rows.", file=sys.stderr)
            return 1
        return asyncio.run(_call(options, records))
    except (HearthError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 1


def csv_records(contract: Contract, path: Path, limit: int | None) -> list[Record]:
    """Return at most `limit` rows of a CSV file, unchecked: empty cells as None, numbers and codes as numbers."""
    numeric = {name for name, column in contract.columns.items() if _holds_numbers(column)}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = islice(csv.DictReader(file, restval=""), limit)
        return [{name: _cell(text, is_number=name in numeric) for name, text in row.items() if name is not None} for row in rows]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grpc_service.client", description=__doc__)
    parser.add_argument("--mode", choices=("batch", "stream"), default="batch")
    parser.add_argument("--address", help="host:port of the service, grpcs://host:port for TLS (default: HEARTH_GRPC_ADDRESS)")
    parser.add_argument("--ca", type=Path, help="the PEM file of who signed the service's certificate (default: HEARTH_GRPC_CA)")
    parser.add_argument("--api-key", help="where predictions need one (HEARTH_API_REQUIRE_KEY)")
    parser.add_argument("--dataset", default="employees")
    parser.add_argument("--model", default=CHAMPION, help="an alias (default: %(default)s)")
    parser.add_argument("--file", type=Path, help="a CSV file with the data set's columns, instead of fake records")
    parser.add_argument("--records", type=int, help="how many to send (default: 5 fake ones, or all of the file)")
    parser.add_argument("--seed", type=int, default=42, help="the same seed makes the same fake records")
    parser.add_argument("--packed", action="store_true", help="send columns instead of records")
    parser.add_argument("--rate", type=float, help="stream: messages a second (default: as fast as they are answered)")
    parser.add_argument("--timeout", type=float, default=30.0, help="batch: limit of the call in seconds (default: %(default)g)")
    return parser


def _fake_records(contract: Contract, options: argparse.Namespace) -> list[Record]:
    return [*FakeRecords.load(contract).records(5 if options.records is None else options.records, options.seed)]


async def _call(options: argparse.Namespace, records: Sequence[Record]) -> int:
    client = GrpcClientSettings()
    address = options.address or client.grpc_address
    target, credentials = channel_credentials(address, options.ca or client.grpc_ca)
    async with grpc.aio.secure_channel(target, credentials) if credentials else grpc.aio.insecure_channel(target) as channel:
        stub = PredictionStub(channel)
        predict = _batch if options.mode == "batch" else _stream
        start = time.perf_counter()
        try:
            failed = await predict(stub, options, records)
        except grpc.aio.AioRpcError as error:
            print(f"{address}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
        seconds = time.perf_counter() - start
        print(f"{len(records) - failed} of {len(records)} records scored in {seconds:.3f} s")
        return 1 if failed else 0


async def _batch(stub: PredictionStub, options: argparse.Namespace, records: Sequence[Record]) -> int:
    call = stub.Predict(_request(options, records), timeout=options.timeout, metadata=_metadata(options))
    try:
        response = await call
    except grpc.aio.AioRpcError:
        if (error := await error_of(call)) is None:
            raise
        _print_error(error)
        return len(records)
    print(f"models:/{response.dataset}@{response.alias}, version {response.version} ({response.family})")
    for row in range(len(records)):
        print(_prediction_line(response, row, str(row)))
    return 0


async def _stream(stub: PredictionStub, options: argparse.Namespace, records: Sequence[Record]) -> int:
    failed = 0
    row = 0
    async for response in stub.PredictStream(_requests(options, records), metadata=_metadata(options)):
        if response.HasField("error"):
            failed += 1
            _print_error(response.error, response.request_id)
        else:
            print(_prediction_line(response.response, 0, response.request_id), f"version {response.response.version}")
        row += 1
    return failed


async def _requests(options: argparse.Namespace, records: Sequence[Record]) -> AsyncIterator[pb.PredictRequest]:
    start = time.perf_counter()
    for row, record in enumerate(records):
        if options.rate:
            await asyncio.sleep(max(start + row / options.rate - time.perf_counter(), 0))
        yield _request(options, [record], request_id=str(row))


def _metadata(options: argparse.Namespace) -> list[tuple[str, str]]:
    return [("x-api-key", options.api_key)] if options.api_key else []


def _request(options: argparse.Namespace, records: Sequence[Record], request_id: str = "") -> pb.PredictRequest:
    request = pb.PredictRequest(dataset=options.dataset, alias=options.model, request_id=request_id)
    if options.packed:
        request.packed.CopyFrom(packed_message(records))
    else:
        request.records.extend(record_message(record) for record in records)
    return request


def _prediction_line(response: pb.PredictResponse, row: int, name: str) -> str:
    count = len(response.classes)
    probabilities = response.probabilities[row * count : (row + 1) * count]
    columns = "  ".join(f"{label} {probability:.3f}" for label, probability in zip(response.classes, probabilities, strict=True))
    return f"{name:>6}  {response.labels[row]:<12} {columns} "


def _print_error(error: pb.Error, name: str = "") -> None:
    print(f"{name:>6}  {error.error}: {error.detail}", file=sys.stderr)
    for problem in error.errors:
        kind = problem.value.WhichOneof("kind")
        value = "" if kind is None else "null" if kind == "null" else repr(getattr(problem.value, kind))
        print(f"{'':>6}  row {problem.row}, {problem.column}: got {value}, expected {problem.expected}", file=sys.stderr)
    if error.more_errors:
        print(f"{'':>6}  and {error.more_errors} more", file=sys.stderr)


def _holds_numbers(column: Column) -> bool:
    if isinstance(column, CategoryColumn):
        return column.holds_numbers
    return isinstance(column, IntegerColumn | NumberColumn)


def _cell(text: str, *, is_number: bool) -> object:
    if text == "":
        return None
    try:
        return float(text) if is_number else text
    except ValueError:
        return text


if __name__ == "__main__":
    sys.exit(main())
