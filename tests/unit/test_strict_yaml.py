"""A text that YAML 1.1 reads as something else is refused, with how to write it."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearth.contracts.strict_yaml import InvalidYaml, read_yaml


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "750"),
        ("010", "8"),
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("0b11", "3"),
        ("+5", "5"),
        ("1:30.5", "90.5"),
        ("1_0.5", "10.5"),
        ("no", "false"),
        ("Yes", "true"),
        ("OFF", "false"),
        ("on", "true"),
        ("1e3", "a text"),
        ("-2E-5", "a text"),
        ("08", "a text"),
        ("0o17", "a text"),
    ],
)
@pytest.mark.parametrize("place", ["a: {}", "a: [x, {}]", "{}: x", "a: {{b: {}}}"])
def test_a_text_with_two_readings_is_refused_with_both(path: Path, text: str, value: str, place: str) -> None:
    path.write_text("first: line\n" + place.format(text), "utf-8")

    with pytest.raises(InvalidYaml) as refused:
        read_yaml(path)

    assert refused.value.where == "line 2"
    assert refused.value.reason.startswith(f"{text} is read as {value} by YAML 1.1: write '{text}', in quotes, ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'12:30'", "12:30"),
        ('"no"', "no"),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-7", -7),
        ("1.50", 1.5),
        ("2.", 2.0),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        ('"1e3"', "1e3"),
        ("2026-11-29", date(2026, 11, 29)),
        ("no way", "no way"),
        ("null", None),
    ],
)
def test_what_everybody_reads_alike_is_read(path: Path, text: str, value: object) -> None:
    path.write_text(f"a: {text}\n", "utf-8")

    assert read_yaml(path) == {"a": value}


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3", "the key 'a' is written twice"),
        ("a: {b: 1, b: 2}", "line 1", "the key 'b' is written twice"),
        ("'1': a\n\"1\": b", "line 2", "the key '1' is written twice"),
        ("a: [=, x]", "line 1", "= means something else in YAML 1.1: write '=', in quotes"),
        ("a: " + "[" * 5000, "the file", "is nested too deeply"),
        ("a: [", "line 1", "expected the node content"),
    ],
)
def test_other_mistakes_are_refused_with_their_line(path: Path, text: str, where: str, reason: str) -> None:
    path.write_text(text, "utf-8")

    with pytest.raises(InvalidYaml) as refused:
        read_yaml(path)

    assert refused.value.where == where
    assert reason in refused.value.reason


TEXTS = st.text(st.characters(codec="utf-8"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS


@given(value=st.recursive(SCALARS, lambda part: st.lists(part) | st.dictionaries(TEXTS, part), max_leaves=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_yaml_writes_is_read_back(path: Path, value: object) -> None:
    path.write_text(yaml.safe_dump(value, allow_unicode=True, default_style='"'), "utf-8")

    assert read_yaml(path) == value


@given(text=st.text(alphabet="0123456789_:.+-xXbeEyYnNoOfFtTrRuUsS", min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plain_text_is_read_as_itself_or_as_what_a_decimal_reader_reads_or_refused(path: Path, text: str) -> None:
    path.write_text(f"a: {text}\n", "utf-8")
    try:
        content = read_yaml(path)
    except InvalidYaml:
        return
    value = content["a"] if isinstance(content, dict) and "a" in content else text
    if isinstance(value, bool):
        assert text.lower() == str(value).lower()
    elif isinstance(value, int):
        assert text == str(value) or text == "-0"
    elif isinstance(value, float):
        assert repr(float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))) == repr(value)
    elif isinstance(value, str) and "_" not in text:  # Python's numbers have underscores too
        with pytest.raises(ValueError, match="could not convert"):
            float(text)
