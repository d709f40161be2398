"""A clock that can be stepped while services run: `stepped_clock.c`, compiled here and preloaded into them.

Nothing of Python is replaced, and the monotonic clock goes on, as when the clock of a machine is set.
"""

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_SOURCE = Path(__file__).with_name("stepped_clock.c")
_COMPILE_SECONDS = 60


@dataclass(frozen=True)
class Clock:
    """`file` holds how far the clock is off; without a library there is none, and `why_not` has the reason."""

    library: Path | None
    file: Path
    why_not: str = ""

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Compile the library into a folder; where no compiler is, there is no clock that can be stepped."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            return cls.none("there is no C compiler for the library that steps the clock")
        library = folder / "stepped_clock.so"
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMPILE_SECONDS)
        if ended.returncode:
            return cls.none(f"{_SOURCE.name} was not compiled: {ended.stderr.strip()[-300:]}")
        clock = cls(library, folder / "clock")
        clock.file.write_bytes(struct.pack("q", 0))
        return clock

    @classmethod
    def none(cls, why_not: str) -> Self:
        """Return one that cannot be stepped."""
        return cls(None, Path(os.devnull), why_not)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process whose clock is to be stepped."""
        return {"LD_PRELOAD": str(self.library), "HEARTH_CLOCK_FILE": str(self.file)} if self.library else {}

    def step(self, seconds: int) -> None:
        """Set the clock so many seconds off, from now on."""
        with self.file.open("r+b") as file:
            file.write(struct.pack("q", seconds))
