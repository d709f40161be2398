"""Starts and supervises the writer process."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from pydantic import SecretStr

from hearth.serving.recording.messages import AnswerBatch, Unavailable, WriterEnded, WriteResult

_MODULE = "hearth.serving.recording.writer"
_RESPONSE_SECONDS = 60.0  # a store that refuses connections is reported much earlier
_POLL_SECONDS = 0.5
_EXIT_SECONDS = 5.0


class WriterProcess:
    """Starts the process on first use, and again after it has ended. One thread may call `put`, any thread `end`."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._is_ended = False

    def put(self, batch: AnswerBatch, give_up: Callable[[], bool]) -> WriteResult:
        """Store a batch and return the result. Storing it again is safe.

        A store that hangs counts as unavailable after a minute, or as soon as `give_up` returns True.
        """
        try:
            connection = self._connected()
            connection.send(batch)
            deadline = time.monotonic() + _RESPONSE_SECONDS
            while not connection.poll(_POLL_SECONDS):
                if time.monotonic() > deadline or give_up():
                    self._stop()
                    return Unavailable("The predictions store accepted predictions and does not respond.")
            result: WriteResult = connection.recv()
        except (OSError, EOFError):
            code = self._stop()
            return WriterEnded(f"The process that stores predictions ended with code {code}.")
        return result

    def end(self) -> None:
        """Kill the process for good; a `put` in progress returns."""
        with self._lock:
            self._is_ended = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Let the idle process exit."""
        self._stop(kill=False)

    @property
    def pid(self) -> int | None:
        """The id of the running process, if any."""
        return self._process.pid if self._process else None

    def _connected(self) -> Connection:
        with self._lock:
            if self._is_ended:
                raise BrokenPipeError
            if self._connection is None:
                self._connection, remote = Pipe()
                with remote:
                    command = [sys.executable, "-P", "-m", _MODULE, str(remote.fileno())]
                    self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[remote.fileno()])  # noqa: S603 - ours
                self._connection.send(self._url.get_secret_value())
            return self._connection

    def _stop(self, *, kill: bool = True) -> int | None:
        """End the running process, if any, and return its exit code."""
        with self._lock:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        if kill:
            process.kill()
        try:
            return process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
