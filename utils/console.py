"""How programs for people write: colours on a terminal, and tables that never hide what does not fit."""

import sys

from rich.console import Console
from rich.table import Table

_WIDTH_OF_A_FILE = 140


def make_console() -> Console:
    """Return a console as wide as the terminal, or wide enough for every table where the output goes to a file."""
    return Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)


def make_table(title: str, *columns: str) -> Table:
    """Return an empty table whose long words break instead of being cut."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
