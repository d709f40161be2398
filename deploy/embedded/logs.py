"""The end of a log, and what is added to it."""

import os
import select
import time
from collections import deque
from pathlib import Path
from typing import TextIO

_POLL_SECONDS = 0.3


def tail(file: Path, lines: int) -> list[str]:
    """Return the last lines of a file."""
    with file.open(encoding="utf-8", errors="replace") as text:
        return [line.rstrip("\n") for line in deque(text, maxlen=lines)]


def follow(file: Path, output: TextIO) -> None:
    """Write what is added to a file until interrupted or until nobody reads the output; go on with the new file after a rotation."""
    text = file.open(encoding="utf-8", errors="replace")
    try:
        text.seek(0, os.SEEK_END)
        while not _is_abandoned(output):
            if addition := text.read():
                output.write(addition)
                output.flush()
                continue
            if file.exists() and file.stat().st_ino != os.fstat(text.fileno()).st_ino:
                text.close()
                text = file.open(encoding="utf-8", errors="replace")
                continue
            time.sleep(_POLL_SECONDS)
    finally:
        text.close()


def _is_abandoned(output: TextIO) -> bool:
    """Tell whether the other end of a pipe is closed, as after `| head`."""
    poll = select.poll()
    poll.register(output.fileno(), 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
