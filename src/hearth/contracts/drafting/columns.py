"""What kind of column a list of texts is: its values, range or categories, and what a person has to decide about it."""

import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import numpy as np
import pandas as pd

from hearth.contracts.texts import MISSING, NUMBER

Kind = Literal["integer", "number", "category", "date", "identifier"]

MOST_CODES = 5
MOST_CATEGORIES = 60
_ENOUGH_ROWS = 20  # fewer do not show that values repeat
_LARGEST_WHOLE = 2**53
_OTHER_MISSING = frozenset({"?", "-", "--", ".", "N.A.", "n.a.", "unknown", "Unknown", "missing", "#DIV/0!", "#VALUE!"})
_LEADING_ZERO = r"[+-]?0[0-9]+"
_DECIMAL_COMMA = r"[+-]?(?:[0-9]+,[0-9]+|[0-9]+)"
_THOUSANDS = r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[+-]?[0-9]{1,3}(?:\.[0-9]+)?"
_STRAY_ROWS = 50  # so many values are needed before a few that are no number count as strays
_STRAY_SHARE = 0.02
_DAY_FORMATS = {
    "%Y-%m-%d": "2008-09-30",
    "%Y-%m-%d %H:%M:%S": "2008-09-30 12:00:00",
    "%Y-%m-%dT%H:%M:%S": "2008-09-30T12:00:00",
    "%Y/%m/%d": "2008/09/30",
    "%d/%m/%Y": "30/09/2008",
    "%m/%d/%Y": "09/30/2008",
    "%d.%m.%Y": "30.09.2008",
    "%d-%m-%Y": "30-09-2008",
}
_ID_NAME = re.compile(r"(^|[^a-z])(id|key|uuid|guid|index|no|nr|number|code)$", re.IGNORECASE)


@dataclass
class ColumnDraft:
    """A column: `texts` are its cells as the ETL reads them, the empty text where a value is missing.

    `numbers` has the values of numeric kinds, NaN where missing. `decisions` are for a person, `drop` says why no model should see the
    column.
    """

    name: str
    kind: Kind
    texts: pd.Series
    numbers: pd.Series | None = None
    minimum: float = 0
    maximum: float = 0
    categories: tuple[str | int, ...] = ()
    unit: str = ""
    drop: str = ""
    decisions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> pd.Series:
        return self.texts == ""

    @property
    def nullable(self) -> bool:
        return bool(self.missing.any())

    @property
    def distinct(self) -> int:
        return int(self.texts[~self.missing].nunique())


def draft_column(name: str, cells: pd.Series, *, decimal_comma: bool = False) -> ColumnDraft:
    """Return the kind of a column of texts."""
    texts = cells.astype("str").str.strip().str.normalize("NFC")  # as texts are compared
    missing = texts.isin(MISSING)
    words = Counter(texts[missing & (texts != "")].tolist())
    texts = texts.mask(missing, "")
    column = _numeric(name, texts, decimal_comma) or _days(name, texts) or _text(name, texts)
    if words:
        listed = ", ".join(f"{word!r} {count} times" for word, count in words.most_common())
        column.notes.append(f"missing values are written as {listed}")
        if column.kind == "category":
            column.decisions.append("if one of these words is a category, list it")
    return column


def as_codes(column: ColumnDraft) -> None:
    """Turn a column of whole numbers into a category of codes."""
    assert column.numbers is not None  # noqa: S101 - of numeric kinds
    codes = column.numbers.dropna().astype("int64")
    column.kind, column.categories = "category", tuple(sorted({int(code) for code in codes}))
    column.texts = pd.Series("", index=column.texts.index, dtype="str")
    column.texts[codes.index] = codes.astype("str")
    column.numbers = None


def range_of(numbers: pd.Series, *, whole: bool) -> tuple[float, float]:
    """Return bounds around the values: a tenth of their span wider, rounded, not beyond 0 where they are not, and 0 to 1 for shares."""
    low, high = float(numbers.min()), float(numbers.max())
    if not whole and low >= 0 and high <= 1:
        return 0, 1
    lower, upper = _rounded(low, high, whole=whole)
    lower, upper = min(lower, low), max(upper, high)
    if low >= 0:
        lower = max(lower, 0)
    if high <= 0:
        upper = min(upper, 0)
    if lower < upper:
        return lower, upper
    wider = upper + 1 if upper + 1 > upper else math.nextafter(upper, math.inf)
    return (lower, wider) if math.isfinite(wider) else (math.nextafter(lower, 0), upper)


def _rounded(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    with np.errstate(all="ignore"):
        span = np.float64(high) - low
        step = 10 ** np.floor(np.log10(span)) / 10 if span else 1.0
        step = max(step, 1.0) if whole else step
        bounds = np.floor((low - span / 10) / step) * step, np.ceil((high + span / 10) / step) * step
    if not all(np.isfinite(bounds)):
        return low, high
    return float(f"{bounds[0]:.12g}"), float(f"{bounds[1]:.12g}")


def number_text(value: float) -> str:
    """Return a number as YAML reads it."""
    if value % 1 == 0 and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    text = repr(float(value))
    return text if "." in text else text.replace("e", ".0e")


def _numeric(name: str, texts: pd.Series, decimal_comma: bool) -> ColumnDraft | None:
    present = texts[texts != ""]
    values = present[~present.isin(_OTHER_MISSING)]
    notes: list[str] = []
    plain = _plain_numbers(values, notes, decimal_comma)
    if plain is None:
        return None
    numbers = pd.to_numeric(plain).astype("float64")
    if not np.isfinite(numbers).all():
        return None
    strays = values.drop(plain.index)
    if other := Counter(present[present.isin(_OTHER_MISSING)].tolist()):
        listed = ", ".join(f"{word!r} {count} times" for word, count in other.most_common())
        notes.append(
            f"missing values are written as {listed}, which the ETL reads only if `missing` names them: they are empty in the copy"
        )
    if len(strays):
        notes.append(f"{len(strays)} values are no number, such as {strays.iloc[0]!r}: the ETL rejects their rows")
    written = texts.mask(texts.isin(_OTHER_MISSING), "")
    written[plain.index] = plain
    whole = bool((numbers % 1 == 0).all()) and bool((numbers.abs() < _LARGEST_WHOLE).all())
    column = ColumnDraft(name, "integer" if whole else "number", written, numbers.reindex(texts.index), notes=notes)
    column.minimum, column.maximum = range_of(numbers, whole=whole)
    distinct = int(numbers.nunique())
    if distinct == 1:
        column.drop = f"it holds one value only, {plain.iloc[0]}"
    elif whole and not len(strays) and _counts_rows(name, numbers):
        column.kind, column.numbers = "identifier", None
        column.drop = "its values number the rows"
    elif whole and not len(strays) and distinct <= MOST_CODES:
        as_codes(column)
        if distinct > 2:  # noqa: PLR2004 - of two values the order never counts
            column.decisions.append(
                f"if the order of the codes counts, write kind: integer, minimum: {column.categories[0]}, maximum: {column.categories[-1]} "
                "and a unit instead of categories"
            )
    elif whole and plain.str.contains(".", regex=False).any():
        column.decisions.append("all values are whole but some are written with decimals: write kind: number if 2.5 is possible")
    return column


def _plain_numbers(values: pd.Series, notes: list[str], decimal_comma: bool) -> pd.Series | None:
    """Return those of the texts that are numbers, with a decimal point; None if the column is not one of numbers."""
    if not len(values) or values.str.fullmatch(_LEADING_ZERO).any():
        return None
    fits = values.str.fullmatch(NUMBER)
    if fits.all():
        return values
    if decimal_comma and values.str.fullmatch(_DECIMAL_COMMA).all():
        notes.append("numbers have a decimal comma; the copy has a point")
        return values.str.replace(",", ".", regex=False)
    if not decimal_comma and values.str.fullmatch(_THOUSANDS).all():
        notes.append("numbers have a comma after the thousands, which the copy leaves out")
        return values.str.replace(",", "", regex=False)
    return values[fits] if len(values) >= _STRAY_ROWS and (~fits).mean() <= _STRAY_SHARE else None


def _counts_rows(name: str, numbers: pd.Series) -> bool:
    """Whether whole numbers are a key: all distinct, and either a sequence or named like one."""
    if len(numbers) < _ENOUGH_ROWS or numbers.nunique() < len(numbers):
        return False
    return bool((numbers.diff().dropna() == 1).all()) or _ID_NAME.search(name) is not None


def _days(name: str, texts: pd.Series) -> ColumnDraft | None:
    present = texts[texts != ""]
    if not len(present):
        return None
    unique = present.unique().tolist()
    fitting = [form for form in _DAY_FORMATS if _all_days(unique, form)]
    if not fitting:
        return None
    form = fitting[0]
    column = ColumnDraft(name, "date", texts, drop="a day cannot be a feature")
    if form != "%Y-%m-%d":
        days = {text: datetime.strptime(text, form).date().isoformat() for text in unique}  # noqa: DTZ007 - a day
        column.texts = texts.map(lambda text: days.get(text, "")).astype("str")
        column.notes.append(f"days are written as {_DAY_FORMATS[form]}; the copy has {_DAY_FORMATS['%Y-%m-%d']}")
    if {"%d/%m/%Y", "%m/%d/%Y"} <= set(fitting):
        column.decisions.append("no value shows whether the day or the month comes first: the copy takes the day")
    return column


def _all_days(values: list[str], form: str) -> bool:
    length = len(_DAY_FORMATS[form])
    for value in values:
        if len(value) != length or not value.isascii():
            return False
        try:
            day = datetime.strptime(value, form).date()  # noqa: DTZ007 - a day
        except ValueError:
            return False
        if form == "%Y-%m-%d" and day != date.fromisoformat(value):
            return False
    return True


def _text(name: str, texts: pd.Series) -> ColumnDraft:
    column = ColumnDraft(name, "identifier", texts)
    present = texts[texts != ""]
    distinct = column.distinct
    repeats = distinct <= len(present) / 2 or len(present) < _ENOUGH_ROWS
    if distinct == 0:
        column.drop = "it holds no value at all"
    elif distinct == 1:
        column.drop = f"it holds one value only, {present.iloc[0]!r}"
    elif distinct <= MOST_CATEGORIES and repeats:
        column.kind, column.categories = "category", tuple(sorted(present.unique().tolist()))
        column.decisions.extend(_doubts(column.categories))
    else:
        column.drop = f"{distinct} different texts in {len(present)} rows are a key or free text"
        column.decisions.append("if these are categories, write kind: category, list them all and remove the column from drop")
    return column


def _doubts(categories: tuple[str | int, ...]) -> list[str]:
    doubts = [
        f"{word!r} may mean a missing value: then leave it out here, empty its cells, and write nullable: true"
        for word in categories
        if word in _OTHER_MISSING
    ]
    alike: dict[str, list[str]] = {}
    for category in map(str, categories):
        alike.setdefault(_simplified(category), []).append(category)
    doubts += [f"{', '.join(map(repr, group))} look like one category" for group in alike.values() if len(group) > 1]
    return doubts


def _simplified(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
