"""The command `hearth`, run in the process of the tests, which starts no interpreter."""

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from hearth.cli.app import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: object
    output: str
    errors: str


def run_command(*arguments: object, folder: Path, text: str = "", **environment: str) -> Ended:
    """Run `hearth` in a folder with these settings and no others, and `text` as its standard input."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        for name in [name for name in os.environ if name.startswith("HEARTH_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr("sys.argv", ["hearth", *map(str, arguments)])
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
    return Ended(ended.value.code, output.getvalue(), errors.getvalue())
