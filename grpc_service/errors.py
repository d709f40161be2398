"""The one file that knows both our errors and gRPC.

A call that fails ends with a status code, a sentence, and an `Error` (in v1/prediction.proto) in the details of its google.rpc.Status: the
trailing metadata `grpc-status-details-bin`, which the gRPC libraries of all languages read.
"""

import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any, NoReturn

import grpc
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from grpc_service.v1 import prediction_pb2 as pb
from hearth.errors import ErrorKind, HearthError, InvalidRecords, Problem

_LOGGER = logging.getLogger(__name__)
# Clients refuse trailing metadata of more than 8 KiB, in which the sentence stands twice and what is not ASCII takes three times its bytes.
_DETAIL_BYTES = 500
_CALL_ERROR_BYTES = 3_000
_VALUE_CHARACTERS = 200
_MOST_PROBLEMS = 100

Context = grpc.aio.ServicerContext[Any, Any]


class InvalidRequest(HearthError):
    """A message is not what the call takes, whatever the contract says."""

    code = "invalid_request"
    kind = ErrorKind.CALLER


class InternalError(HearthError):
    """What a client hears of an error that nobody foresaw."""

    code = "internal_error"


STATUS: dict[ErrorKind, grpc.StatusCode] = {
    ErrorKind.CALLER: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorKind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.TOO_SLOW: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorKind.TOO_MANY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.INTERNAL: grpc.StatusCode.INTERNAL,
}


def status_of(error: HearthError) -> grpc.StatusCode:
    """Return the status code that says whose fault an error is."""
    return STATUS[error.kind]


def error_message(error: Exception, most_bytes: int | None = None) -> pb.Error:
    """Return what a client is told; of an error that nobody foresaw it hears nothing, and the log hears all.

    With `most_bytes`, problems beyond that size are counted instead of listed.
    """
    if not isinstance(error, HearthError):
        _LOGGER.error("a call failed", exc_info=error)
        error = InternalError("The service failed; its log says why.")
    elif status_of(error) is grpc.StatusCode.INTERNAL:
        _LOGGER.error("%s: %s", error.code, error)
    message = pb.Error(error=error.code, detail=_shortened(str(error)), status=status_of(error).value[0])
    if isinstance(error, InvalidRecords):
        _list_problems(message, error.problems, most_bytes)
    return message


async def end_call(context: Context, error: Exception) -> NoReturn:
    """End a call with what went wrong."""
    message = error_message(error, _CALL_ERROR_BYTES)
    status = Status(code=message.status, message=message.detail)
    status.details.add().Pack(message)
    ending = rpc_status.to_status(status)
    await context.abort(ending.code, ending.details, ending.trailing_metadata or ())


async def error_of(call: grpc.aio.Call) -> pb.Error | None:
    """Return what a call that failed says about it; None if it did not get as far as this service."""
    status = await rpc_status.aio.from_call(call)
    message = pb.Error()
    for detail in status.details if status else ():
        if detail.Unpack(message):
            return message
    return None


def _list_problems(message: pb.Error, problems: Sequence[Problem], most_bytes: int | None) -> None:
    for problem in islice(problems, _MOST_PROBLEMS):
        message.errors.append(_problem_message(problem))
        if most_bytes is not None and message.ByteSize() > most_bytes:
            del message.errors[-1]
            break
    message.more_errors = len(problems) - len(message.errors)


def _problem_message(problem: Problem) -> pb.Problem:
    column, expected = _shortened(problem.column), _shortened(problem.expected)
    return pb.Problem(row=problem.row, column=column, value=_value(problem.value), expected=expected)


def _value(value: object) -> pb.Value | None:
    if value is None:
        return pb.Value(null="NULL_VALUE")
    if isinstance(value, int | float):
        return pb.Value(number=value)
    if isinstance(value, str):
        return pb.Value(text=value if len(value) <= _VALUE_CHARACTERS else f"{value[:_VALUE_CHARACTERS]}…")
    return None


def _shortened(text: str) -> str:
    """Cut a text to bytes that fit into metadata."""
    encoded = text.encode()
    return text if len(encoded) <= _DETAIL_BYTES else f"{encoded[:_DETAIL_BYTES].decode(errors='ignore')}…"
