"""The three doors of a prediction, for loads at a rate: REST, GraphQL and gRPC, each over one connection that is kept."""

import contextlib
import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Protocol

import grpc

from benchmarks.harness.requests import Records
from grpc_service.encoding import record_message
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.contracts import Contract
from hearth.contracts.names import graphql_names

TIMEOUT_SECONDS = 30.0
_QUERY = "query ($records: Records!) { predict(records: $records) { version nSamples requestId } }"


class RefusedError(Exception):
    """A service answered something else than predictions; the message has the answer."""


FAILURES = (OSError, http.client.HTTPException, grpc.RpcError, RefusedError)
"""What a door may raise."""


class Predicted(Protocol):
    """What is needed of an answer: the id under which its rows are stored, how many they are, and who answered."""

    @property
    def request_id(self) -> str: ...

    @property
    def rows(self) -> int: ...

    @property
    def version(self) -> str: ...


class Answered:
    """An answer."""

    def __init__(self, request_id: str, rows: int, version: str) -> None:
        self.request_id, self.rows, self.version = request_id, rows, version


class Door(Protocol):
    """One way to ask for predictions. Belongs to one thread."""

    name: str

    def ask(self, turn: int) -> Predicted: ...

    def close(self) -> None: ...


class _Http:
    """A connection that is opened again after it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the body of an answer with status 200 or 202. Raises one of FAILURES."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        try:
            self._connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.status not in {http.client.OK, http.client.ACCEPTED}:
            raise RefusedError(f"{answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class RestDoor:
    """`POST /predict`."""

    def __init__(self, port: int, requests: Sequence[Records]) -> None:
        self.name = "rest"
        self._http = _Http(port)
        self._bodies = [(json.dumps({"data": list(records)}).encode(), len(records)) for records in requests]

    def ask(self, turn: int) -> Predicted:
        """Send one of the requests. Raises one of FAILURES."""
        body, rows = self._bodies[turn % len(self._bodies)]
        answer = json.loads(self._http.send("POST", "/predict", body))
        return Answered(answer["request_id"], rows, answer["version"])

    def close(self) -> None:
        self._http.close()


class GraphqlDoor:
    """The field `predict` of GraphQL."""

    def __init__(self, port: int, requests: Sequence[Records], contract: Contract) -> None:
        self.name = "graphql"
        self._http = _Http(port)
        names = graphql_names(contract.columns)
        self._bodies = [(_graphql_body(contract.name, names, records), len(records)) for records in requests]

    def ask(self, turn: int) -> Predicted:
        """Send one of the requests. Raises one of FAILURES."""
        body, rows = self._bodies[turn % len(self._bodies)]
        content = self._http.send("POST", "/graphql", body)
        answer = json.loads(content)
        if answer.get("errors"):
            raise RefusedError(f"errors {content[:300]!r}")
        predicted = answer["data"]["predict"]
        return Answered(predicted["requestId"], rows, predicted["version"])

    def close(self) -> None:
        self._http.close()


class GrpcDoor:
    """The call `Predict`."""

    def __init__(self, port: int, requests: Sequence[Records]) -> None:
        self.name = "grpc"
        self._messages = [pb.PredictRequest(records=[record_message(record) for record in records]) for records in requests]
        # Channels of one process share their connections, unless they have pools of their own
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        self._stub = PredictionStub(self._channel)

    def ask(self, turn: int) -> Predicted:
        """Send one of the requests. Raises one of FAILURES."""
        message = self._messages[turn % len(self._messages)]
        answer = self._stub.Predict(message, timeout=TIMEOUT_SECONDS)
        return Answered(answer.request_id, len(message.records), answer.version)

    def close(self) -> None:
        self._channel.close()


class StreamDoor:
    """`POST /predict_stream`: the id of an answer is that of the message."""

    def __init__(self, port: int, requests: Sequence[Records]) -> None:
        self.name = "/predict_stream"
        self._http = _Http(port)
        self._bodies = [json.dumps({"data": list(records[:1])}).encode() for records in requests]

    def ask(self, turn: int) -> Predicted:
        """Queue one record. Raises one of FAILURES."""
        answer = json.loads(self._http.send("POST", "/predict_stream", self._bodies[turn % len(self._bodies)]))
        return Answered(answer["message_ids"][0], 1, "")

    def close(self) -> None:
        self._http.close()


class PathDoor:
    """A route of REST that is only read, such as `/health`."""

    def __init__(self, port: int, path: str) -> None:
        self.name = path
        self._http, self._path = _Http(port), path

    def ask(self, turn: int) -> Predicted:  # noqa: ARG002 - every turn is the same
        """Get the path. Raises one of FAILURES."""
        self._http.send("GET", self._path)
        return Answered("", 0, "")

    def close(self) -> None:
        self._http.close()


def _graphql_body(dataset: str, names: Mapping[str, str], records: Records) -> bytes:
    rows = [{names[column]: value for column, value in record.items()} for record in records]
    return json.dumps({"query": _QUERY, "variables": {"records": {dataset: rows}}}).encode()


def describe(error: BaseException) -> str:
    """Return what a failure says, in one line."""
    if isinstance(error, grpc.RpcError):
        with contextlib.suppress(AttributeError):
            return f"{error.code().name}: {error.details()}"  # a call that has ended has both
    return f"{type(error).__name__}: {error}"
