"""Parts of the benchmarks that judge others: a proxy that is slow, and the slope of memory."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.memory_slope import fit_slope
from benchmarks.harness.slow_proxy import SlowProxy

DELAY = 0.3


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, until a connection is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(65_536):
                    connection.sendall(data)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


def answer(connection: socket.socket, data: bytes) -> bytes:
    """Send in a thread of its own, and read as much back."""
    threading.Thread(target=connection.sendall, args=[data], daemon=True).start()
    received = b""
    while len(received) < len(data) and (part := connection.recv(65_536)):
        received += part
    return received


def test_all_bytes_come_through_in_their_order(echo: int) -> None:
    data = bytes(range(256)) * 8_000
    with SlowProxy(echo) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        assert answer(connection, data) == data


def test_an_answer_is_later_by_the_delay_also_on_a_connection_that_is_open(echo: int) -> None:
    with SlowProxy(echo) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        answer(connection, b"fast")
        proxy.delay_seconds = DELAY
        start = time.monotonic()
        assert answer(connection, b"slow") == b"slow"
        assert time.monotonic() - start >= DELAY


def test_a_server_that_is_away_closes_the_connection_and_may_come_back(echo: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with SlowProxy(port) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        assert connection.recv(1) == b""
        proxy._target = echo
        with socket.create_connection(("127.0.0.1", proxy.port)) as again:
            assert answer(again, b"back") == b"back"


@given(st.floats(-50, 50), st.floats(100, 1_000), st.integers(10, 400))
def test_the_slope_of_a_line_is_found(per_hour: float, first: float, count: int) -> None:
    times = [10.0 * sample for sample in range(count)]
    found = fit_slope(times, [first + per_hour * at / 3_600 for at in times])

    assert found.per_hour == pytest.approx(per_hour, abs=1e-6)
    assert found.low <= found.per_hour <= found.high


def test_the_interval_holds_what_a_step_leaves_open() -> None:
    """Memory that went up once, in the middle, has a slope whose interval is wide; one that rises all the time has not."""
    times = [10.0 * sample for sample in range(360)]
    step = fit_slope(times, [100.0 if at < 1_800 else 103.0 for at in times])
    rising = fit_slope(times, [100.0 + 10 * at / 3_600 for at in times])

    assert step.high - step.low > 1
    assert rising.high - rising.low < 0.1
    assert rising.low > 5


def test_a_slope_of_a_handful_of_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="a slope needs 10 samples, got 3"):
        fit_slope([0, 1, 2], [1, 2, 3])
