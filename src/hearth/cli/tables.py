"""Consoles and tables of programs: colours on a terminal, and nothing is cut off where the output goes to a file."""

import sys

from rich.console import Console
from rich.table import Table

_FILE_WIDTH = 140


def make_console() -> Console:
    """Return a console as wide as the terminal, or wide enough for every table where the output goes to a file."""
    return Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)


def make_table(title: str, *columns: str) -> Table:
    """Return an empty table whose long words break instead of being cut."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
