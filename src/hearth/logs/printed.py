"""What servers that are not ours print beside their log, as lines of the log."""

import contextlib
import io
import logging
import sys
import threading
from typing import TextIO

_LOGGER = logging.getLogger("printed")


class PrintedLines(io.TextIOBase):
    """A stream whose lines become records; what is written without an end of line waits for it, in each thread by itself."""

    encoding = "utf-8"

    def __init__(self, original: TextIO) -> None:
        self._original = original
        self._waiting = threading.local()
        self._busy = threading.local()

    def write(self, text: str) -> int:
        """Take text; returns its length, as every stream does."""
        if not isinstance(text, str):
            raise TypeError(f"expected text, got {type(text).__name__}")  # by which libraries find out that it takes no bytes
        if getattr(self._busy, "now", False):  # what logging says about a line that it cannot write is no line: that would never end
            with contextlib.suppress(OSError, ValueError):  # broken or closed: nobody can be told
                self._original.write(text)
            return len(text)
        *lines, rest = f"{getattr(self._waiting, 'text', '')}{text}".split("\n")
        self._waiting.text = rest
        for line in lines:
            if line.strip():
                self._log(line)
        return len(text)

    def _log(self, line: str) -> None:
        self._busy.now = True
        try:
            _LOGGER.info("%s", line)
        finally:
            self._busy.now = False

    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    def flush(self) -> None:
        """Write a line that has no end yet."""
        if getattr(self._waiting, "text", "").strip():
            self.write("\n")

    def fileno(self) -> int:
        """Return the descriptor of the stream behind it, which children of the process write to."""
        return self._original.fileno()


def log_what_is_printed() -> None:
    """Let what this process prints from now on be lines of its log; to be called when the log is set up."""
    sys.stdout, sys.stderr = PrintedLines(sys.__stdout__ or sys.stdout), PrintedLines(sys.__stderr__ or sys.stderr)
