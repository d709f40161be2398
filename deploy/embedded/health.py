"""Ask servers whether they work, with nothing but the standard library, so that tests of every environment can ask too."""

import http.client
import json
import socket
import struct
import urllib.request
from collections.abc import Sequence

_TIMEOUT_SECONDS = 5.0
_POSTGRES_PROTOCOL = 3 << 16
# HTTP/2: frames begin with length, kind, flags and stream
_FRAME_HEAD = 9
_DATA, _HEADERS, _RESET, _SETTINGS = 0, 1, 3, 4
_END_STREAM, _END_HEADERS = 1, 4
_SERVING = b"\0\0\0\0\2\x08\x01"  # an uncompressed message of two bytes: status = SERVING


def postgres_accepts(port: int) -> bool:
    """Do what pg_isready does: a server that asks for a password is up; one that starts or stops answers with an error."""
    parameters = b"user\0hearth\0database\0postgres\0\0"
    startup = struct.pack("!ii", len(parameters) + 8, _POSTGRES_PROTOCOL) + parameters
    return _exchange(port, startup, answer_bytes=1) == b"R"


def mysql_greets(port: int) -> bool:
    """Tell whether a MySQL or MariaDB lets clients in: it speaks first, and an error has another protocol number."""
    return _exchange(port, b"", answer_bytes=5)[4:] == b"\x0a"


def valkey_answers(port: int) -> bool:
    """Send PING; a server that still loads its file answers with an error."""
    return _exchange(port, b"PING\r\n", answer_bytes=5) == b"+PONG"


def object_store_ready(s3_port: int, filer_port: int, buckets: Sequence[str]) -> bool:
    """Tell whether SeaweedFS answers and has its buckets: it makes them a moment after its health page says yes.

    The filer is asked for the buckets, because S3 tells nothing to a request without a signature.
    """
    pages = [f"http://127.0.0.1:{s3_port}/healthz", *(f"http://127.0.0.1:{filer_port}/buckets/{bucket}/?limit=1" for bucket in buckets)]
    return all(http_ok(page) for page in pages)


def http_ok(url: str) -> bool:
    """Tell whether a GET is answered with success."""
    return http_body(url) is not None


def http_body(url: str) -> bytes | None:
    """Return the body of a GET that succeeds, else None."""
    try:
        with _direct().open(url, timeout=_TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except (OSError, http.client.HTTPException):  # URLError and HTTPError are OSErrors
        return None


def airflow_unhealthy(url: str, components: Sequence[str]) -> list[str]:
    """Return which components of Airflow are not healthy, all of them when it does not answer.

    The health page is a 200 even when the scheduler is dead: only its JSON tells.
    """
    body = http_body(f"{url}/api/v2/monitor/health")
    statuses = json.loads(body) if body else {}
    return [name for name in components if (statuses.get(name) or {}).get("status") != "healthy"]


def grpc_serves(port: int, service: str = "", host: str = "127.0.0.1") -> bool:
    """Ask the standard health service of a gRPC server; the empty name is the process itself.

    This is the one HTTP/2 request that it takes, written out: every header in full, so that the table of short forms is not needed.
    """
    name = service.encode()
    headers = {
        ":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check", ":authority": f"{host}:{port}",
        "content-type": "application/grpc", "te": "trailers",
    }  # fmt: skip
    block = b"".join(
        b"\0" + bytes([len(part := key.encode())]) + part + bytes([len(value)]) + value.encode() for key, value in headers.items()
    )
    message = (b"\x0a" + bytes([len(name)]) + name) if name else b""
    question = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(
        (
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _END_HEADERS, 1, block),
            _frame(_DATA, _END_STREAM, 1, b"\0" + struct.pack("!I", len(message)) + message),
        )
    )
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(question)
            with connection.makefile("rb") as answer:
                while len(head := answer.read(_FRAME_HEAD)) == _FRAME_HEAD:
                    length, kind, stream = int.from_bytes(head[:3]), head[3], int.from_bytes(head[5:])
                    body = answer.read(length)
                    if kind == _DATA:
                        return body == _SERVING
                    if stream and (kind == _RESET or head[4] & _END_STREAM):
                        return False  # an error has no message
    except OSError:
        pass
    return False


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3) + bytes([kind, flags]) + struct.pack("!I", stream) + body


def _direct() -> urllib.request.OpenerDirector:
    """Make a client that asks 127.0.0.1 itself, even where a proxy is set for everything."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _exchange(port: int, question: bytes, answer_bytes: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(question)
            answer = b""
            while len(answer) < answer_bytes and (part := connection.recv(answer_bytes - len(answer))):
                answer += part
            return answer
    except OSError:
        return b""
