"""Show the end of a log, and go on showing it while it grows."""

import os
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
    """Write what is added to a file, until interrupted; when it is rotated, go on with the new one."""
    text = file.open(encoding="utf-8", errors="replace")
    try:
        text.seek(0, os.SEEK_END)
        while True:
            if added := text.read():
                output.write(added)
                output.flush()
                continue
            if file.exists() and file.stat().st_ino != os.fstat(text.fileno()).st_ino:
                text.close()
                text = file.open(encoding="utf-8", errors="replace")
                continue
            time.sleep(_POLL_SECONDS)
    finally:
        text.close()
