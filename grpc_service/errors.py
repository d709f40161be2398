"""The one file that knows both our errors and gRPC.

A call that fails ends with a status code, a sentence, and an `Error` (in v1/prediction.proto) in the details of its google.rpc.Status: the
trailing metadata `grpc-status-details-bin`, which gRPC libraries read.
"""

import logging
from typing import Any, NoReturn

import grpc
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from grpc_service.v1 import prediction_pb2 as pb
from hearth.errors import ErrorKind, HearthError, InvalidRecords, Problem
from hearth.tracing.context import current_trace
from hearth.tracing.traceparent import HEADER

_LOGGER = logging.getLogger(__name__)
# Clients refuse trailing metadata above 8 KiB. The sentence is in them twice, and characters beyond ASCII take three times their bytes.
_DETAIL_BYTES = 500
_CALL_ERROR_BYTES = 3_000
_VALUE_CHARACTERS = 200

Context = grpc.aio.ServicerContext[Any, Any]


class InvalidRequest(HearthError):
    """A message does not have the form that the call takes."""

    code = "invalid_request"
    kind = ErrorKind.CALLER


class InternalError(HearthError):
    """Stands for an unexpected error, whose details only the log has."""

    code = "internal_error"


STATUS: dict[ErrorKind, grpc.StatusCode] = {
    ErrorKind.CALLER: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorKind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.UNSUPPORTED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.TOO_SLOW: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorKind.TOO_MANY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.INTERNAL: grpc.StatusCode.INTERNAL,
}


def status_of(error: HearthError) -> grpc.StatusCode:
    """Return the status code of an error."""
    return STATUS[error.kind]


def error_message(error: Exception, max_bytes: int | None = None) -> pb.Error:
    """Return an error as a message. An unexpected one is logged, and the message says only that.

    With `max_bytes`, problems that would make the message larger are counted instead of listed.
    """
    if not isinstance(error, HearthError):
        _LOGGER.error("a call failed", exc_info=error)
        error = InternalError("The service failed; its log says why.")
    elif status_of(error) is grpc.StatusCode.INTERNAL:
        _LOGGER.error("%s: %s", error.code, error)
    message = pb.Error(error=error.code, detail=_shortened(str(error)), status=status_of(error).value[0])
    if isinstance(error, InvalidRecords):
        _list_problems(message, error, max_bytes)
    return message


async def end_call(context: Context, error: Exception) -> NoReturn:
    """End a call with the status and the message of an error."""
    message = error_message(error, _CALL_ERROR_BYTES)
    status = Status(code=message.status, message=message.detail)
    status.details.add().Pack(message)
    ending = rpc_status.to_status(status)
    trace = current_trace()
    named = ((HEADER, str(trace)),) if trace else ()
    await context.abort(ending.code, ending.details, (*(ending.trailing_metadata or ()), *named))


async def error_of(call: grpc.aio.Call) -> pb.Error | None:
    """Return the error message of a failed call; None if this service did not send one."""
    status = await rpc_status.aio.from_call(call)
    message = pb.Error()
    for detail in status.details if status else ():
        if detail.Unpack(message):
            return message
    return None


def _list_problems(message: pb.Error, error: InvalidRecords, max_bytes: int | None) -> None:
    for problem in error.problems:
        message.errors.append(_problem_message(problem))
        if max_bytes is not None and message.ByteSize() > max_bytes:
            del message.errors[-1]
            break
    message.more_errors = error.count - len(message.errors)


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
    """Return a text cut to the bytes that fit into metadata."""
    encoded = text.encode()
    return text if len(encoded) <= _DETAIL_BYTES else f"{encoded[:_DETAIL_BYTES].decode(errors='ignore')}…"
