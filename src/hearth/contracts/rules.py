"""The rules of values: what a column of each kind accepts, and which cell a value becomes.

All ways into Hearth use these rules, so that a value is judged the same in a raw file, an uploaded file, a request and a message.

| kind | cell | missing |
|---|---|---|
| number, integer | float | NaN |
| category | position among the categories | the position after the last |
| date | datetime.date; datetime64[D] in arrays | NaT |
| identifier | text | NaN |

The typed form (`value`, `column`) is for JSON, GraphQL, Protobuf and Arrow, which have numbers, texts and null. The text form
(`TextReader`) is for the cells of text files: blanks around a value do not count, numbers are texts, and some words mean a missing value
(`MISSING`, and those of the contract). Texts are compared in the form NFC.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import cycle

import numpy as np

from hearth.contracts.column_types import HIDDEN, CategoryColumn, Column, DateColumn, IdentifierColumn, IntegerColumn, NumberColumn
from hearth.contracts.model import Contract
from hearth.contracts.numbers import NumberFormat
from hearth.contracts.texts import ISO_DAY, MIDNIGHT, NUMBER, WHOLE_CODE, abridge, normalized

_NONE = type(None)
_REMEMBERED = 50_000  # texts of a column
_FEW = 1_000  # texts that are read one by one
PLAIN_NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
"""Numbers that pyarrow reads as Python does."""
_REFUSED = -1  # in place of the position of a category
_BOOLEANS = {"true": "1", "false": "0"}  # what tables write for the codes 1 and 0
_NO_DATE = np.datetime64("NaT", "D")


class InvalidValue(ValueError):
    """A value breaks the rule of its column."""


class Rule(ABC):
    """The rule of one column. Threads may share one.

    Attributes:
        refused: in place of the cell of a text that `judge` refuses.
        holds_numbers: whether its values are numbers, which files write in several ways.
    """

    refused: object = None
    holds_numbers: bool = False

    def __init__(self, column: Column) -> None:
        self._column = column

    @abstractmethod
    def value(self, value: object) -> object:
        """Return the cell of a typed value; None is a missing one. Raises InvalidValue."""

    def column(self, values: Sequence[object]) -> Sequence[object] | np.ndarray:
        """Return the cells of typed values, shape (n,). Raises InvalidValue."""
        return [self.value(value) for value in values]

    @abstractmethod
    def read(self, text: str) -> object:
        """Return the cell of a stripped text, or what `judge` refuses."""

    def read_all(self, texts: Sequence[str]) -> Sequence[object] | np.ndarray:
        """Return what `read` returns for each of many stripped texts."""
        return [self.read(text) for text in texts]

    @abstractmethod
    def judge(self, cells: Sequence[object] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cells from `read` as an array, shape (n,), and which of them keep the rule, bool, shape (n,)."""

    @property
    def missing_words(self) -> frozenset[str]:
        """All texts of a cell that mean a missing value."""
        return self._column.missing_words

    def means_missing(self, text: str) -> bool:
        """Return whether the text of a cell means a missing value."""
        return text.strip() in self._column.missing_words

    def refusal(self, name: str, value: object) -> str:
        """Return why a cell of a file is refused; None is a missing value."""
        if value is None or (isinstance(value, str) and self.means_missing(value)):
            actual = "it is missing"
        else:
            actual = f"got {HIDDEN if self._column.personal else abridge(value)}"
        return f"{name}: {actual}, expected {self._expected}{' or nothing' if self._column.nullable else ''}"

    @property
    def _expected(self) -> str:
        return self._column.expected


class NumberRules:
    """The rules of number and integer columns, side by side."""

    def __init__(self, columns: Sequence[NumberColumn | IntegerColumn]) -> None:
        self._rules = [(column.minimum, column.maximum, column.nullable, isinstance(column, IntegerColumn)) for column in columns]
        self._minimum = np.array([column.minimum for column in columns])
        self._maximum = np.array([column.maximum for column in columns])
        self._nullable = np.array([column.nullable for column in columns], dtype=bool)
        self._real = np.array([not isinstance(column, IntegerColumn) for column in columns], dtype=bool)
        self._any_nullable, self._any_whole = bool(self._nullable.any()), not self._real.all()

    @classmethod
    def of(cls, contract: Contract) -> "NumberRules":
        """Return the rules of all features that are numbers, in contract order."""
        return NumberRules([column for column in contract.feature_columns.values() if isinstance(column, IntegerColumn | NumberColumn)])

    def values(self, values: Iterable[object]) -> list[float]:
        """Return the numbers of one record after the other, NaN where None says missing. Raises InvalidValue."""
        numbers: list[float] = []
        for value, (minimum, maximum, nullable, whole) in zip(values, cycle(self._rules), strict=False):
            if type(value) is float or type(value) is int or isinstance(value, float):
                if not minimum <= value <= maximum or (whole and value % 1):  # a comparison with NaN is false
                    raise InvalidValue
                numbers.append(value)
            elif value is None and nullable:
                numbers.append(np.nan)
            else:
                raise InvalidValue
        return numbers

    def admits(self, numbers: np.ndarray) -> np.ndarray:
        """Return which numbers keep the rules, NaN being a missing one: shape (n, columns), or (n,) if there is one column."""
        good: np.ndarray = (numbers >= self._minimum) & (numbers <= self._maximum)
        if self._any_whole:
            good &= (np.rint(numbers) == numbers) | self._real
        if self._any_nullable:
            good |= np.isnan(numbers) & self._nullable
        return good

    def require(self, numbers: np.ndarray) -> None:
        """Raise InvalidValue unless all numbers keep the rules, NaN being a missing one."""
        if not self.admits(numbers).all():
            raise InvalidValue

    def table(self, values: Sequence[object]) -> np.ndarray:
        """Do the same as `values` for many records; returns shape (n, columns)."""
        types = set(map(type, values))
        if not types <= {int, float, _NONE}:
            raise InvalidValue
        try:
            numbers = np.array(values, dtype=np.float64).reshape(-1, len(self._rules))
        except OverflowError:  # an integer of hundreds of digits
            raise InvalidValue from None
        self.require(numbers)
        if self._any_nullable and np.count_nonzero(np.isnan(numbers)) != (values.count(None) if _NONE in types else 0):
            raise InvalidValue  # NaN is no null here
        return numbers


class NumberRule(NumberRules, Rule):
    """The rule of one column of numbers or whole numbers."""

    refused = np.inf
    holds_numbers = True

    def __init__(self, column: NumberColumn | IntegerColumn) -> None:
        NumberRules.__init__(self, [column])
        Rule.__init__(self, column)
        self._booleans = _BOOLEANS if isinstance(column, IntegerColumn) and (column.minimum, column.maximum) == (0, 1) else {}

    def value(self, value: object) -> float:
        return self.values((value,))[0]

    def column(self, values: Sequence[object]) -> np.ndarray:
        return self.table(values)[:, 0]

    def read(self, text: str) -> float:
        if text in self._column.missing_words:
            return np.nan
        text = self._booleans.get(text.lower(), text)
        number = float(text) if NUMBER.fullmatch(text) else np.inf
        return np.nan if number in self._column.missing_numbers else number

    def read_all(self, texts: Sequence[str]) -> np.ndarray:
        if len(texts) < _FEW:
            return np.array([self.read(text) for text in texts], dtype=np.float64)
        import pyarrow as pa  # noqa: PLC0415 - services that read no files wait for neither
        import pyarrow.compute as pc  # noqa: PLC0415

        column = pa.array(texts, pa.string())
        words = pa.array(sorted(self._column.missing_words), pa.string())
        plain = pc.and_not(pc.match_substring_regex(column, PLAIN_NUMBER), pc.is_in(column, value_set=words))
        numbers = pc.if_else(plain, column, None).cast(pa.float64()).to_numpy(zero_copy_only=False)
        cells = self.read_numbers(numbers)
        for place in np.flatnonzero(~plain.to_numpy(zero_copy_only=False)).tolist():
            cells[place] = self.read(texts[place])
        return cells

    def read_numbers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the cells of the numbers of a file, shape (n,): those that mean a missing value become NaN."""
        return np.where(np.isin(numbers, self._column.missing_numbers), np.nan, numbers) if self._column.missing_numbers else numbers

    def means_missing(self, text: str) -> bool:
        return bool(np.isnan(self.read(text.strip())))

    def judge(self, cells: Sequence[object] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.asarray(cells, dtype=np.float64)
        return numbers, self.admits(numbers)


class CategoryRule(Rule):
    """The rule of a column of categories. Its texts are compared in the form NFC.

    Attributes:
        codes: the position of each category; of None too, where a value may be missing.
        texts: the category at each position as text, shape (categories + 1,), NaN as the last.
    """

    refused = _REFUSED

    def __init__(self, column: CategoryColumn) -> None:
        super().__init__(column)
        categories = [normalized(category) if isinstance(category, str) else category for category in column.categories]
        self.codes: dict[object, int] = {category: code for code, category in enumerate(categories)}
        if column.nullable:
            self.codes[None] = len(column.categories)
        self.texts = np.array([*column.texts, np.nan], dtype=object)
        self.holds_numbers = column.holds_numbers
        self._text_codes = {normalized(text): code for code, text in enumerate(column.texts)}
        self._booleans = _BOOLEANS if set(column.categories) == {0, 1} else {}

    def value(self, value: object) -> int:
        if type(value) is bool:  # which Python takes for 0 or 1
            raise InvalidValue
        try:
            return self.codes[value]
        except (KeyError, TypeError):  # TypeError: a list or an object, which cannot be looked up
            if isinstance(value, str) and (code := self.codes.get(normalized(value))) is not None:
                return code
            raise InvalidValue from None

    def column(self, values: Sequence[object]) -> list[int]:
        if bool in set(map(type, values)):
            raise InvalidValue
        try:
            return [self.codes[value] for value in values]
        except (KeyError, TypeError):
            return [self.value(value) for value in values]

    def read(self, text: str) -> int:
        text = normalized(text)
        code = self._booleans.get(text.lower(), text)
        if self.holds_numbers and (match := WHOLE_CODE.fullmatch(code)):
            code = "0" if match[1] == "-0" else match[1]
        if code in self._text_codes:
            return self._text_codes[code]
        return self.codes.get(None, _REFUSED) if self._is_missing(text) else _REFUSED

    def judge(self, cells: Sequence[object] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        codes = np.array(cells, dtype=np.intp)
        return codes, codes != _REFUSED

    def means_missing(self, text: str) -> bool:
        return self._is_missing(normalized(text.strip())) and normalized(text.strip()) not in self._text_codes

    def _is_missing(self, text: str) -> bool:
        if text in self._column.missing_words:
            return True
        return self.holds_numbers and bool(NUMBER.fullmatch(text)) and float(text) in self._column.missing_numbers


class _ObjectRule(Rule):
    """A rule whose cells are objects; `read` gives None for those that are refused."""

    def read(self, text: str) -> object:
        try:
            return self.value(None if text in self._column.missing_words else self._text_value(text))
        except InvalidValue:
            return None

    def _text_value(self, text: str) -> object:
        """Return what the text of a cell says."""
        return text

    def judge(self, cells: Sequence[object] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array(cells, dtype=object), np.array([cell is not None for cell in cells], dtype=bool)

    def _missing(self, cell: object) -> object:
        if not self._column.nullable:
            raise InvalidValue
        return cell


class DateRule(_ObjectRule):
    """The rule of a column of dates: texts in ISO form, or dates."""

    def __init__(self, column: DateColumn) -> None:
        super().__init__(column)
        self._minimum, self._maximum = column.minimum or date.min, column.maximum or date.max
        self._format = column.format
        self._expected_in_files = column.expected_in_files

    def value(self, value: object) -> object:
        if value is None:
            return self._missing(_NO_DATE)
        if isinstance(value, str) and ISO_DAY.fullmatch(value):
            try:
                value = date.fromisoformat(value)
            except ValueError:
                raise InvalidValue from None
        if type(value) is not date or not self._minimum <= value <= self._maximum:
            raise InvalidValue
        return value

    @property
    def _expected(self) -> str:
        return self._expected_in_files

    def _text_value(self, text: str) -> object:
        if self._format and text.isascii():
            try:
                return datetime.strptime(text, self._format).date()  # noqa: DTZ007 - a day
            except ValueError:
                pass
        return MIDNIGHT.sub("", text)

    def judge(self, cells: Sequence[object] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        days, good = super().judge(cells)
        return days.astype("datetime64[D]"), good  # None becomes NaT


class IdentifierRule(_ObjectRule):
    """The rule of a column of keys: any text that is not empty."""

    def read_all(self, texts: Sequence[str]) -> Sequence[object]:
        special = {text: self.read(text) for text in {"", *self._column.missing_words}}
        return [special.get(text, text) for text in texts]

    def value(self, value: object) -> object:
        if value is None:
            return self._missing(np.nan)
        if not isinstance(value, str) or not value:
            raise InvalidValue
        return value


class TextReader(dict[str, object]):
    """Reads the cells of one column of a text file. A column has few distinct texts, so each is read once and remembered."""

    def __init__(self, rule: Rule, numbers: NumberFormat | None = None) -> None:
        super().__init__()
        self.rule = rule
        self._numbers = numbers if numbers is not None and rule.holds_numbers and not numbers.is_plain else None

    def column(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells of texts, shape (n,), and which of them keep the rule, bool, shape (n,)."""
        return self.rule.judge([self[text] for text in texts])

    def distinct(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Do the same as `column` for texts that all differ; nothing is remembered."""
        stripped = [text.strip() for text in texts]
        if self._numbers is None:
            return self.rule.judge(self.rule.read_all(stripped))
        return self.rule.judge([self._cell(text) for text in stripped])

    def __missing__(self, text: str) -> object:
        cell = self._cell(text.strip())
        if len(self) < _REMEMBERED:
            self[text] = cell
        return cell

    def _cell(self, text: str) -> object:
        number = self._numbers.plain(text) if self._numbers is not None else text
        return self.rule.refused if number is None else self.rule.read(number)


def rule_of(column: Column) -> Rule:
    """Return the rule of a column."""
    if isinstance(column, CategoryColumn):
        return CategoryRule(column)
    if isinstance(column, DateColumn):
        return DateRule(column)
    return IdentifierRule(column) if isinstance(column, IdentifierColumn) else NumberRule(column)


def rules_of(contract: Contract) -> Mapping[str, Rule]:
    """Return the rule of each column of a contract."""
    return _rules(tuple(contract.columns.items()))


def category_rules(contract: Contract) -> dict[str, CategoryRule]:
    """Return the rules of the features that are categories, in contract order."""
    rules = rules_of(contract)
    return {name: rule for name in contract.feature_names if isinstance(rule := rules[name], CategoryRule)}


@lru_cache(maxsize=64)
def _rules(columns: tuple[tuple[str, Column], ...]) -> Mapping[str, Rule]:
    return {name: rule_of(column) for name, column in columns}
