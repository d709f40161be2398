"""The process that stores, as the recorder sees it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from pydantic import SecretStr

from hearth.serving.recording.messages import Away, Batch, Died, Outcome

_MODULE = "hearth.serving.recording.writer"
_LONGEST_ANSWER_SECONDS = 60.0  # a store that is away is noticed long before
_LOOK_SECONDS = 0.5
_END_SECONDS = 5.0


class WriterProcess:
    """Starts the process when there is something to store, and again when it has ended. One thread uses it; any may end it."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._ended = False

    def put(self, batch: Batch, give_up: Callable[[], bool]) -> Outcome:
        """Have it stored and say how that went. The same may be put again.

        A store that accepts a connection and then says nothing counts as away after a minute, or as soon as `give_up` says so.
        """
        try:
            connection = self._connected()
            connection.send(batch)
            deadline = time.monotonic() + _LONGEST_ANSWER_SECONDS
            while not connection.poll(_LOOK_SECONDS):
                if time.monotonic() > deadline or give_up():
                    self._stop()
                    return Away("The predictions store accepted predictions and said nothing more.")
            outcome: Outcome = connection.recv()
        except (OSError, EOFError):
            code = self._stop()
            return Died(f"The process that stores predictions ended with code {code}.")
        return outcome

    def end(self) -> None:
        """End the process for good, whatever it does; a `put` under way returns."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Let the process, which has nothing to do, end by itself."""
        self._stop(kill=False)

    @property
    def pid(self) -> int | None:
        """The process that runs, if one does."""
        return self._process.pid if self._process else None

    def _connected(self) -> Connection:
        with self._lock:
            if self._ended:
                raise BrokenPipeError
            if self._connection is None:
                self._connection, theirs = Pipe()
                with theirs:
                    command = [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno())]
                    self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])  # noqa: S603 - ours
                self._connection.send(self._url.get_secret_value())
            return self._connection

    def _stop(self, *, kill: bool = True) -> int | None:
        """End the process that runs, if one does, and return its code."""
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
            return process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
