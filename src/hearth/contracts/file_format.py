"""How raw files and uploads are written: the words of `source.format`."""

from typing import Literal

from pydantic import Field

from hearth.contracts.column_types import Part

Encoding = Literal["utf-8", "windows-1250", "windows-1251", "windows-1252", "iso-8859-1", "iso-8859-2", "iso-8859-15", "mac-roman"]


class FileFormat(Part):
    """How text files are written.

    What is `auto` is found out from each file; one that can be read in two ways is refused. A byte order mark (UTF-8, UTF-16) goes before
    `encoding`.
    """

    delimiter: Literal["auto", "comma", "semicolon", "tab", "bar"] = "auto"
    encoding: Encoding = "utf-8"
    decimal: Literal["auto", "point", "comma"] = Field("auto", description="the mark before the decimals of a number")
    thousands: Literal["auto", "none", "point", "comma", "space", "apostrophe"] = Field("auto", description="the mark between thousands")
    sheet: str = Field("", description="the sheet of a workbook; empty: the only one that is not empty")
    extra_columns: Literal["refuse", "warn", "ignore"] = Field("refuse", description="a raw file that has columns beside the contract's")
