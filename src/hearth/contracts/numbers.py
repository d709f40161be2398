"""How a file writes its numbers: the mark before the decimals, and that between thousands."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from hearth.contracts.file_format import FileFormat
from hearth.contracts.texts import NUMBER, abridge

_DECIMALS = {"point": ".", "comma": ","}
_THOUSANDS = {"none": "", "comma": ",", "point": ".", "space": " \u00a0\u202f", "apostrophe": "'\u2019"}  # typographic ones too


class AmbiguousNumbers(ValueError):
    """The numbers of a file can be read in two ways."""


@dataclass(frozen=True)
class NumberFormat:
    """Words of `source.format`."""

    decimal: str = "point"
    thousands: str = "none"

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as Python and JSON write them."""
        return self == PLAIN

    def plain(self, text: str) -> str | None:
        """Return a number with a decimal point and without marks, None for one of another format, and any other text as it is."""
        if self._pattern.fullmatch(text):
            return self._marks.sub("", text).replace(_DECIMALS[self.decimal], ".")
        return None if NUMBER.fullmatch(text) else text

    def __str__(self) -> str:
        return f"decimal {self.decimal}" + ("" if self.thousands == "none" else f", thousands separated by {self.thousands}")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        decimal = re.escape(_DECIMALS[self.decimal])
        groups = f"[1-9][0-9]{{0,2}}(?:[{_THOUSANDS[self.thousands]}][0-9]{{3}})+|" if self.thousands != "none" else ""
        return re.compile(rf"[+-]?(?:(?:{groups}[0-9]+)(?:{decimal}[0-9]*)?|{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?")

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        marks = _THOUSANDS[self.thousands]
        return re.compile(f"[{marks}]" if marks else r"(?!)")


PLAIN = NumberFormat()


def find_number_format(texts: Collection[str], words: FileFormat) -> NumberFormat:
    """Return the format that reads most of the texts, which are stripped; the plain one if it is among those.

    Raises:
        AmbiguousNumbers: two formats read as many, and differ in a value.
    """
    formats = [
        NumberFormat(decimal, thousands)
        for thousands in (_THOUSANDS if words.thousands == "auto" else (words.thousands,))
        for decimal in (_DECIMALS if words.decimal == "auto" else (words.decimal,))
        if decimal != thousands
    ]
    if len(formats) == 1 or (formats[0].is_plain and not any(is_marked(text) for text in texts)):
        return formats[0]
    read = {format_: _values(format_, texts) for format_ in formats}
    most = max(map(len, read.values()))
    best = [format_ for format_ in formats if len(read[format_]) == most]
    chosen = best[0]
    if chosen.is_plain:
        return chosen
    pointed = {text: value for text, value in read.get(PLAIN, {}).items() if "." in text}
    for other in (*(read[format_] for format_ in best[1:]), pointed):
        for text, value in other.items():
            if (mine := read[chosen].get(text, value)) != value:
                raise AmbiguousNumbers(
                    f"{abridge(text)} can be the number {mine} or {value}: say in the contract which, by source.format.decimal "
                    "(point or comma) and source.format.thousands"
                )
    return chosen


def is_marked(text: str) -> bool:
    """Whether a text may be a number that is not plain."""
    return not NUMBER.fullmatch(text) and any(sign.isdigit() for sign in text)


def _values(format_: NumberFormat, texts: Collection[str]) -> Mapping[str, float]:
    plain = ((text, format_.plain(text)) for text in texts)
    return {text: float(number) for text, number in plain if number is not None and NUMBER.fullmatch(number)}
