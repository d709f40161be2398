"""The process that reads a workbook: `python -P -m hearth.tables.workbook_process SHEET < workbook`, started by `unpacking`.

A workbook of a kilobyte can have a cell in the last of its 17 billion places, for all of which the library asks for memory and, without it,
ends its process. This one limits what it may take. It writes one line of JSON, `Found`, and if one sheet is meant, its rows as CSV.
"""

import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook

from hearth.tables.csv_texts import encoded

_MEMORY_BYTES = 2 << 30  # beside the libraries: some twenty million cells
_CPU_SECONDS = 300


@dataclass(frozen=True)
class Found:
    """The sheets of a workbook, those that may be meant, and why it cannot be read."""

    sheets: tuple[str, ...] = ()
    meant: tuple[str, ...] = ()
    problem: str = ""


def main() -> int:
    """Read one workbook."""
    wanted = sys.argv[1]
    _limit()
    try:
        with CalamineWorkbook.from_filelike(sys.stdin.buffer) as workbook:
            sheets = {name: workbook.get_sheet_by_name(name) for name in workbook.sheet_names if wanted in {"", name}}
            meant = tuple(name for name, sheet in sheets.items() if sheet.start is not None)
            _say(Found(tuple(workbook.sheet_names), meant))
            if len(meant) == 1:
                sys.stdout.buffer.writelines(encoded(sheets[meant[0]].iter_rows()))
    except CalamineError as error:
        _say(Found(problem=str(error)))
    return 0


def _say(found: Found) -> None:
    sys.stdout.buffer.write(json.dumps(asdict(found)).encode() + b"\n")


def _limit() -> None:
    pages = Path("/proc/self/statm")
    if pages.exists():  # elsewhere the time alone is limited
        memory = int(pages.read_text("ascii").split()[0]) * resource.getpagesize() + _MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # freeing millions of cells takes as long as reading them
