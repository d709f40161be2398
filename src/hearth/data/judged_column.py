"""A column of texts against its rule. A text that is there often is read once; texts that nearly all differ are read in arrays."""

from collections import Counter
from collections.abc import Collection
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hearth.contracts.numbers import NumberFormat, is_marked
from hearth.contracts.rules import PLAIN_NUMBER, CategoryRule, DateRule, IdentifierRule, NumberRule, Rule, TextReader

CATEGORY_TEXTS = pa.dictionary(pa.int32(), pa.string())
_BLANK, _LAST_ASCII = 0x20, 0x7E


def can_be_unshared(rule: Rule, numbers: NumberFormat) -> bool:
    """Return whether `JudgedColumn` reads texts of a column in arrays: keys, and numbers that are written plainly."""
    return isinstance(rule, IdentifierRule) or (isinstance(rule, NumberRule) and numbers.is_plain)


class JudgedColumn:
    """The cells of a column, shape (rows,), as they are and as what they mean.

    Attributes:
        texts: as they are: a dictionary, or texts if `can_be_unshared`.
        good: which keep the rule.
    """

    def __init__(self, rule: Rule, texts: pa.Array, numbers: NumberFormat) -> None:
        self.texts = texts
        self._rule, self._numbers = rule, numbers
        self._is_shared = pa.types.is_dictionary(texts.type)
        if self._is_shared:
            self._codes = texts.indices.to_numpy()
            self._distinct: list[str] = texts.dictionary.to_pylist()
            self._cells, self._good_texts = TextReader(rule, numbers).distinct(self._distinct)
            self.good = np.ones(len(texts), bool) if self._good_texts.all() else self._good_texts[self._codes]
        elif isinstance(rule, NumberRule):
            self._cells, self._odd = _plain_numbers(rule, texts)
            self.good = rule.admits(self._cells)
        else:
            self._cells, self.good = _keys(rule, texts)

    def text(self, row: int) -> str:
        return str(self.texts[row].as_py())

    @cached_property
    def is_marked(self) -> bool:
        """Whether one of the texts may be a number that is not plain."""
        texts = self._distinct if self._is_shared else self._odd if isinstance(self._rule, NumberRule) else ()
        return any(is_marked(text.strip()) for text in texts)

    def words(self, words: Collection[str]) -> Counter[str]:
        """Return how often each of some words is a cell, without the blanks around it."""
        texts = self.texts if self._is_shared else self.texts.dictionary_encode()
        counts: Counter[str] = Counter()
        numbers = np.bincount(texts.indices.to_numpy(), minlength=len(texts.dictionary)).tolist()
        for text, count in zip(texts.dictionary.to_pylist(), numbers, strict=True):
            if (word := text.strip()) in words:
                counts[word] += count
        return counts

    def typed(self) -> pa.Array:
        """Return what the cells mean: categories as a dictionary of texts, keys as texts, numbers as float64, dates as microseconds.

        What is missing or breaks the rule is null.
        """
        cells = self._cells
        if not self._is_shared:
            numbers = isinstance(self._rule, NumberRule)
            return pa.array(np.where(self.good, cells, np.nan), pa.float64(), from_pandas=True) if numbers else cells
        codes = self._codes
        if isinstance(self._rule, CategoryRule):
            missing = len(self._rule.texts) - 1
            places = (cells % len(self._rule.texts)).astype(np.int32)[codes]
            indices = pa.array(places, mask=places == missing)
            return pa.DictionaryArray.from_arrays(indices, pa.array(self._rule.texts[:missing], pa.string()))
        if isinstance(self._rule, DateRule):
            return pa.array(cells.astype("datetime64[us]")[codes], pa.timestamp("us"))
        if isinstance(self._rule, IdentifierRule):
            return pa.array(cells, pa.string(), from_pandas=True).take(pa.array(codes))
        return pa.array(np.where(self._good_texts, cells, np.nan)[codes], pa.float64(), from_pandas=True)


def _plain_numbers(rule: NumberRule, texts: pa.StringArray) -> tuple[np.ndarray, list[str]]:
    """Return the cells of texts, and the texts that are not written plainly."""
    words = pa.array(sorted(rule.missing_words), pa.string())
    plain = pc.and_not(pc.match_substring_regex(texts, PLAIN_NUMBER), pc.is_in(texts, value_set=words))
    cells = rule.read_numbers(pc.if_else(plain, texts, None).cast(pa.float64()).to_numpy(zero_copy_only=False))
    odd = texts.filter(pc.invert(plain)).dictionary_encode()
    found = odd.dictionary.to_pylist()
    if found:
        cells = np.array(cells)
        cells[~plain.to_numpy(zero_copy_only=False)] = rule.read_all([text.strip() for text in found])[odd.indices.to_numpy()]
    return cells, found


def _keys(rule: Rule, texts: pa.StringArray) -> tuple[pa.StringArray, np.ndarray]:
    """Return the cells of texts, and which keep the rule."""
    words = pc.is_in(texts, value_set=pa.array(sorted(rule.missing_words), pa.string()))
    special = _has_blank_ends(texts) | words.to_numpy(zero_copy_only=False)
    good = np.ones(len(texts), bool)
    if not special.any():
        return texts, good
    places = np.flatnonzero(special)
    cells, good[places] = TextReader(rule).distinct(texts.take(pa.array(places)).to_pylist())
    return pc.replace_with_mask(texts, pa.array(special), pa.array(cells, pa.string(), from_pandas=True)), good


def _has_blank_ends(texts: pa.StringArray) -> np.ndarray:
    """Return which texts are empty, or may begin or end with a blank of any alphabet."""
    if not len(texts):
        return np.empty(0, bool)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    starts, ends = offsets[:-1], offsets[1:]
    if not len(content):
        return np.ones(len(texts), bool)
    first, last = content[starts.clip(max=len(content) - 1)], content[(ends - 1).clip(min=0)]
    blank: np.ndarray = (starts == ends) | (first <= _BLANK) | (last <= _BLANK) | (first > _LAST_ASCII) | (last > _LAST_ASCII)
    return blank
