"""Texts of tables as the values that records hold, by the rules by which raw files are read."""

import re

from hearth.contracts.column_types import CategoryColumn, Column, IntegerColumn, NumberColumn
from hearth.contracts.texts import NUMBER, WHOLE_CODE

_CODE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")  # of 01 a raw file makes no 1


def text_value(column: Column, text: str) -> object:
    """Return the value of a cell, unchecked: a number, a code or a text, None where it is missing. What cannot be read stays a text."""
    cell = text.strip()
    if cell in column.missing_words and not (isinstance(column, CategoryColumn) and cell in column.texts):
        return None
    if column.missing_numbers and NUMBER.fullmatch(cell) and float(cell) in column.missing_numbers:
        return None
    if isinstance(column, NumberColumn | IntegerColumn):
        return whole_as_int(float(cell)) if NUMBER.fullmatch(cell) else cell
    if isinstance(column, CategoryColumn) and column.holds_numbers:
        match = WHOLE_CODE.fullmatch(cell)
        return int(match[1]) if match and _CODE.fullmatch(match[1]) else cell
    return cell


def whole_as_int(number: float) -> float:
    """Return 7 for 7.0, as people write it and as categories are compared."""
    return int(number) if number.is_integer() else number
