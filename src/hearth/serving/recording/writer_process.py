"""Starts and supervises the writer process."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from pydantic import SecretStr

from hearth.serving.recording.messages import READY, AnswerBatch, Unavailable, WriterEnded, WriteResult

_MODULE = "hearth.serving.recording.writer"
_RESPONSE_SECONDS = 60.0  # a store that refuses connections is reported much earlier
_START_SECONDS = 300.0  # it has a low priority, so on a machine that is full its imports take minutes
_SEND_SECONDS = 60  # in which the process takes a batch; it always does, unless it stands still
_POLL_SECONDS = 0.5
_EXIT_SECONDS = 5.0


class WriterProcess:
    """Starts the process on first use, and again after it has ended. One thread may call `put`, any thread `end`."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._is_ended = self._is_ready = False

    def put(self, batch: AnswerBatch, give_up: Callable[[], bool]) -> WriteResult:
        """Store a batch and return the result. Storing it again is safe.

        A store that hangs counts as unavailable after a minute, or as soon as `give_up` returns True. A process that ends before it has
        received the batch, as one that cannot start does, is no fault of the batch: that too counts as unavailable.
        """
        has_batch = False
        try:
            connection = self._connected()
            if not self._is_ready:
                if not _answers(connection, give_up, _START_SECONDS):
                    self._stop()
                    return Unavailable("The process that stores predictions does not start.")
                self._is_ready = connection.recv() == READY
            connection.send(batch)
            has_batch = True
            if not _answers(connection, give_up, _RESPONSE_SECONDS):
                self._stop()
                return Unavailable("The predictions store accepted predictions and does not respond.")
            result: WriteResult = connection.recv()
        except BlockingIOError:
            self._stop()
            return Unavailable(f"The process that stores predictions has taken nothing for {_SEND_SECONDS} s; another one is started.")
        except (OSError, EOFError):
            code = self._stop()
            problem = f"The process that stores predictions ended with code {code}."
            return WriterEnded(problem) if has_batch else Unavailable(problem)
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
            if self._process is not None and self._process.poll() is not None:  # it was killed while it had nothing to do
                self._forget()
            if self._connection is None:
                self._connection, remote = Pipe()
                self._is_ready = False
                _limit_sending(self._connection, _SEND_SECONDS)
                with remote:
                    command = [sys.executable, "-P", "-m", _MODULE, str(remote.fileno())]
                    self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[remote.fileno()])  # noqa: S603 - ours
                self._connection.send(self._url.get_secret_value())
            return self._connection

    def _forget(self) -> None:
        """Let go of a process that has ended."""
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None

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


def _answers(connection: Connection, give_up: Callable[[], bool], seconds: float) -> bool:
    """Wait until there is something to receive; False after some seconds, or as soon as `give_up` returns True."""
    deadline = time.monotonic() + seconds
    while not connection.poll(_POLL_SECONDS):
        if time.monotonic() > deadline or give_up():
            return False
    return True


def _limit_sending(connection: Connection, seconds: int) -> None:
    """Let a send raise BlockingIOError when the other end has taken nothing for some seconds; else it would wait for ever."""
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:  # both descriptors are of one socket, and so is the option
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))
