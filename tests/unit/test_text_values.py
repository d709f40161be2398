import pytest

from hearth.contracts import CategoryColumn, load_contract
from hearth.contracts.rules import CategoryRule, InvalidValue, rule_of
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
