"""Texts of tables as the values that records hold, by the rules by which raw files are read."""

from datetime import date

from hearth.contracts.column_types import CategoryColumn, Column, DateColumn
from hearth.contracts.rules import Rule


def text_value(column: Column, rule: Rule, text: str) -> object:
    """Return the value of a cell, unchecked: a number, a category or a text, None where it is missing; `rule` is that of the column.

    What cannot be read stays a text.
    """
    cell = text.strip()
    if rule.means_missing(cell):
        return None
    read = rule.read(cell)
    if read is None or read == rule.refused:
        return cell
    if isinstance(column, CategoryColumn):
        return column.categories[read] if isinstance(read, int) else cell
    if isinstance(column, DateColumn):
        return read.isoformat() if isinstance(read, date) else cell
    return whole_as_int(read) if isinstance(read, float) else read


def whole_as_int(number: float) -> float:
    """Return 7 for 7.0, as people write it and as categories are compared."""
    return int(number) if number.is_integer() else number
