"""Health of the servers of the embedded stack, asked with the standard library, so that tests of every environment can use it."""

import socket
import struct
from collections.abc import Mapping

from deploy.embedded.s3_requests import Credentials, bucket_exists
from deploy.health import airflow_unhealthy, grpc_serves, http_ok, mlflow_ok

__all__ = [
    "airflow_unhealthy",
    "grpc_serves",
    "http_ok",
    "mlflow_ok",
    "mysql_greets",
    "object_store_ready",
    "postgres_accepts",
    "valkey_answers",
]

_TIMEOUT_SECONDS = 5.0
_POSTGRES_PROTOCOL = 3 << 16


def postgres_accepts(port: int) -> bool:
    """Tell whether PostgreSQL lets clients in, as pg_isready does: it asks for a password; while it starts or stops, it sends an error."""
    parameters = b"user\0hearth\0database\0postgres\0\0"
    startup = struct.pack("!ii", len(parameters) + 8, _POSTGRES_PROTOCOL) + parameters
    return _exchange(port, startup, answer_bytes=1) == b"R"


def mysql_greets(port: int) -> bool:
    """Tell whether MySQL or MariaDB lets clients in: it sends a greeting, and an error has another protocol number."""
    return _exchange(port, b"", answer_bytes=5)[4:] == b"\x0a"


def valkey_answers(port: int, password: str = "") -> bool:
    """Tell whether Valkey answers PING; while it loads its file, it sends an error. An empty password: it has none."""
    if not password:
        return _exchange(port, b"PING\r\n", answer_bytes=5) == b"+PONG"
    secret = password.encode()
    login = b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n" % (len(secret), secret)
    return _exchange(port, login + b"PING\r\n", answer_bytes=10) == b"+OK\r\n+PONG"


def object_store_ready(environment: Mapping[str, str]) -> bool:
    """Tell whether the store answers and has its buckets, each for the key that uses it; `environment` holds the settings of the stack."""
    url, region = f"http://127.0.0.1:{environment['HEARTH_S3_PORT']}", environment["HEARTH_S3_REGION"]
    owners = {"DATA": "HEARTH_S3", "PROCESSED": "HEARTH_S3", "MLFLOW": "HEARTH_MLFLOW_S3"}
    return http_ok(f"{url}/healthz") and all(
        bucket_exists(
            url,
            environment[f"HEARTH_{bucket}_BUCKET"],
            Credentials(environment[f"{key}_ACCESS_KEY"], environment[f"{key}_SECRET_KEY"], region),
        )
        for bucket, key in owners.items()
    )


def _exchange(port: int, message: bytes, answer_bytes: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(message)
            answer = b""
            while len(answer) < answer_bytes and (part := connection.recv(answer_bytes - len(answer))):
                answer += part
            return answer
    except OSError:
        return b""
