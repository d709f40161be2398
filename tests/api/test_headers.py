"""Headers have bounds of bytes and time, which uvicorn does not have."""

import contextlib
import json
import select
import socket
from collections.abc import Iterator

import httpx
import pytest

from hearth_api import http_protocol
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support.models import FakeRegistry

MAX_BYTES = 65_536


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client:
        yield client


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30)


def send_until_refused(peer: socket.socket, part: bytes, most: int) -> tuple[int, bytes]:
    """Send parts, at most so many bytes; return how many were sent, and the answer."""
    sent, answer = 0, b""
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        while sent < most:
            peer.sendall(part)
            sent += len(part)
    with contextlib.suppress(ConnectionError):
        answer = peer.recv(10_000)
    return sent, answer


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ", b"x" * 10_000),
        (b"GET /health HTTP/1.1\r\nX-", b"x" * 10_000),
        (b"GET /health?", b"x" * 10_000),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"x" * 10_000),
    ],
    ids=["value", "name", "line", "trailer"],
)
def test_what_is_no_body_is_bounded(client: httpx.Client, start: bytes, part: bytes) -> None:
    with connected(client) as peer:
        peer.sendall(start)
        sent, _ = send_until_refused(peer, part, 100_000_000)
    assert sent < 20_000_000  # what the sockets hold
    assert client.get("/health").status_code == 200


def test_the_error_names_the_setting(client: httpx.Client) -> None:
    with connected(client) as peer:
        peer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
        while not select.select([peer], [], [], 0.001)[0]:
            peer.sendall(b"x" * 1_000)
        answer = peer.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert "HEARTH_API_MAX_HEADER_BYTES" in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]


def test_headers_within_the_bound_and_a_body_of_many_parts_pass(client: httpx.Client) -> None:
    assert client.get("/health", headers={f"x-{number}": "y" * 1_000 for number in range(50)}).status_code == 200
    answer = client.post("/predict/csv", content=(b"z" * 1_000 for _ in range(500)))
    assert answer.json()["error"] == "invalid_file"


@pytest.mark.parametrize("start", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half"])
def test_headers_that_do_not_arrive_end_the_connection(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "_limits", lambda: (MAX_BYTES, 0.2))
    with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client, connected(client) as peer:
        peer.sendall(start)
        answer = peer.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"HEARTH_API_HEADER_SECONDS" in answer
        assert client.get("/health").status_code == 200


def test_a_second_request_on_a_connection_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "_limits", lambda: (MAX_BYTES, 0.5))
    with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client, connected(client) as peer:
        peer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(10_000).startswith(b"HTTP/1.1 200 ")
        peer.sendall(b"GET /health HTTP/1.1\r\n")
        assert peer.recv(10_000).startswith(b"HTTP/1.1 408 ")
