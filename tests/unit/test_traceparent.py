"""W3C's traceparent is read strictly, and what cannot be read begins a new trace instead of failing."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hearth.tracing.context import current_trace, current_trace_id, in_trace
from hearth.tracing.traceparent import LONGEST, TraceContext, new_trace, parse_traceparent

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def digits(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length)


def ids(length: int) -> st.SearchStrategy[str]:
    return digits(length).filter(lambda text: text.strip("0") != "")


places = st.builds(TraceContext, ids(32), ids(16), st.booleans())


@given(places)
def test_what_is_written_is_read_again(place: TraceContext) -> None:
    assert parse_traceparent(str(place)) == place


@given(ids(32), ids(16), digits(2))
def test_the_last_bit_of_the_flags_says_whether_the_callers_spans_are_kept(trace: str, span: str, flags: str) -> None:
    assert parse_traceparent(f"00-{trace}-{span}-{flags}") == (trace, span, bool(int(flags, 16) % 2))


@given(digits(2).filter(lambda version: version not in {"00", "ff"}), places, st.text("0123456789abcdef-", max_size=20))
def test_a_later_version_is_read_as_far_as_it_is_known(version: str, place: TraceContext, rest: str) -> None:
    later = version + str(place)[2:]
    assert parse_traceparent(later) == place
    assert parse_traceparent(f"{later}-{rest}") == place
    if rest and not rest.startswith("-"):
        assert parse_traceparent(later + rest) is None


@given(st.text(max_size=100))
def test_any_text_is_none_or_a_place_with_valid_ids(text: str) -> None:
    place = parse_traceparent(text)
    assert place is None or (len(place.trace_id), len(place.span_id)) == (32, 16)


@given(places, st.integers(0, 54), st.sampled_from(string.printable + "Ä\0٣"))
def test_a_sign_that_is_changed_is_never_an_error_and_changes_no_other_sign(place: TraceContext, at: int, sign: str) -> None:
    text = str(place)
    changed = text[:at] + sign + text[at + 1 :]
    assume(changed != text)
    found = parse_traceparent(changed)
    if found is not None:
        assert str(found)[3:52] == changed[3:52]
        assert sign in "0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        GIVEN.upper(),
        GIVEN + "-",
        GIVEN + "-00",
        GIVEN + "\n",
        " " + GIVEN,
        "ff" + GIVEN[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        GIVEN.replace("-", "_"),
        f"{GIVEN},{GIVEN}",
        "01" + GIVEN[2:] + "-" + "x" * LONGEST,
    ],
)
def test_what_breaks_a_rule_of_the_form_is_none(text: str) -> None:
    assert parse_traceparent(text) is None


def test_a_new_trace_is_valid_and_differs_from_every_other() -> None:
    begun = [new_trace() for _ in range(1_000)]
    assert all(parse_traceparent(str(place)) == place for place in begun)
    assert len({place.trace_id for place in begun}) == len({place.span_id for place in begun}) == 1_000


def test_code_knows_its_trace_only_inside_of_it() -> None:
    place = new_trace()
    assert current_trace_id() is None
    with in_trace(place):
        assert (current_trace(), current_trace_id()) == (place, place.trace_id)
        with in_trace(None):
            assert current_trace_id() is None
        assert current_trace_id() == place.trace_id
    assert current_trace_id() is None
