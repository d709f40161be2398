"""An object that has a key twice is refused by name, and everything else is read as any parser reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from hearth.contracts.strict_json import InvalidJson, RepeatedKey, parse_json

TEXTS = st.text(st.characters(codec="utf-8")) | st.sampled_from(["a:b", ":", '"', "\\", '":"', "12:30"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda part: st.lists(part) | st.dictionaries(TEXTS, part), max_leaves=12)


@given(VALUES)
def test_what_has_every_key_once_is_read_as_it_was_written(value: object) -> None:
    for content in (to_json(value), json.dumps(value), json.dumps(value, indent=1).encode()):
        assert parse_json(content) == from_json(content) == value


class Twice(dict[str, Any]):
    """Writes its first key once more at its end."""

    def items(self) -> Any:
        pairs = list(super().items())
        return [*pairs, pairs[0]]


@given(st.dictionaries(TEXTS, VALUES, min_size=1), st.lists(st.tuples(TEXTS, st.booleans()), max_size=5), st.lists(SCALARS))
def test_a_key_that_is_there_twice_is_found_wherever_it_is(
    value: dict[str, object], path: list[tuple[str, bool]], beside: list[object]
) -> None:
    content: object = Twice(value)
    for key, in_list in path:
        content = [*beside, content] if in_list else {key: content}

    with pytest.raises(RepeatedKey, match=r"has the key .* twice in one object"):
        parse_json(json.dumps(content))


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ('{"data": [{"age": 1, "age": 2}]}', '"age"'),
        ('{"data": [], "data": [{"age": 1}]}', '"data"'),
        ('{"data": [{"a": 1}, {"a": ":", "\\u0061": 2}]}', '"a"'),
        ('{"a":{"b":[[{"c":{}}]],"b":0}}', '"b"'),
        ('[1, {"x": 1, "x": 1}]', '"x"'),
        ('{"' + "k" * 200 + '": 1, "' + "k" * 200 + '": 1}', '"' + "k" * 80 + '"'),
    ],
)
def test_the_key_is_named(content: str, key: str) -> None:
    for form in (content, content.encode()):
        with pytest.raises(RepeatedKey) as refused:
            parse_json(form)
        assert str(refused.value) == f"has the key {key} twice in one object, of which JSON would keep only the last"


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": }', b"nan", b"[" * 5_000, b'{"a": 1} {"a": 2}'])
def test_what_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidJson, match="is not JSON: ") as refused:
        parse_json(content)

    assert not isinstance(refused.value, RepeatedKey)


def test_what_is_not_utf8_is_named_with_its_place_and_a_byte_order_mark_is_read_over() -> None:
    with pytest.raises(InvalidJson, match=r"is not UTF-8 \(byte 0xff at position 1\)"):
        parse_json(b'"\xff"')

    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_the_same_key_in_two_objects_is_no_repetition() -> None:
    content = b'{"data": [{"time": "12:30"}, {"time": "12:31", "more": {"time": ":"}}], "time": 1}'

    assert parse_json(content) == json.loads(content)


def test_nan_is_a_float_so_that_its_record_can_be_named() -> None:
    assert repr(parse_json(b'{"a": [NaN, Infinity, {"b:": -Infinity}]}')) == "{'a': [nan, inf, {'b:': -inf}]}"
