import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.contracts import CategoryColumn, load_contract
from hearth.contracts.column_types import IdentifierColumn, NumberColumn
from hearth.contracts.rules import CategoryRule, InvalidValue, TextReader, rule_of
from hearth.serving.text_values import text_value
from tests.support.contracts import DATA

CODES = load_contract("heart", DATA).columns["cp"]


@pytest.mark.parametrize("text", ["1", "1.0", "+1", "-0", "-0.0", " 2.0 ", "1.01", "01", "+-1.0", "1.0.0", "11.0", "1e0", "9" * 5_000])
def test_the_text_of_a_code_is_the_code_that_a_raw_file_has_for_it_or_is_refused(text: str) -> None:
    assert isinstance(CODES, CategoryColumn)
    rule = CategoryRule(CODES)
    try:
        position = rule.value(text_value(CODES, rule, text))
    except InvalidValue:
        position = -1

    assert position == rule.read(text.strip())


def test_a_text_that_only_begins_like_a_code_is_no_other_code() -> None:
    assert text_value(CODES, rule_of(CODES), "1.01") == "1.01"


class TestTextReader:
    @pytest.mark.parametrize("missing", [(), ("-9", "?"), (-9, "?")])
    @given(texts=st.lists(st.text("0123456789.-+eE? x", max_size=6) | st.floats().map(repr), max_size=40, unique=True))
    def test_many_distinct_texts_are_read_as_each_is(self, missing: tuple[str | int, ...], texts: list[str]) -> None:
        column = NumberColumn(kind="number", minimum=-5, maximum=5, unit="u", description="x", nullable=True, missing=missing)
        rule = rule_of(column)
        expected = rule.judge([rule.read(text.strip()) for text in texts])

        cells, good = TextReader(rule).distinct([*texts, *(f"{number / 1000}" for number in range(2_000))])

        np.testing.assert_array_equal(cells[: len(texts)], expected[0])
        np.testing.assert_array_equal(good[: len(texts)], expected[1])
        assert good[len(texts) :].all()

    def test_keys_are_read_as_each_is(self) -> None:
        rule = rule_of(IdentifierColumn(kind="identifier", description="x", missing=("none",)))

        cells, good = TextReader(rule).distinct([" a ", "", "none", "NA", "b"])

        assert cells.tolist() == ["a", None, None, None, "b"]
        assert good.tolist() == [True, False, False, False, True]
