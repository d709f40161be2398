"""The place in a list of predictions, as clients carry it about."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.errors import InvalidCursor
from hearth.predictions import Cursor

MOMENTS = st.datetimes(timezones=st.just(UTC)) | st.datetimes(datetime(2000, 1, 1), timezones=st.just(timezone(timedelta(hours=-3))))  # noqa: DTZ001 - the strategy adds the zone
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(MOMENTS, TEXTS, st.integers(0, 2**31 - 1))
def test_a_cursor_comes_back_as_it_was_and_fits_into_a_url(scored_at: datetime, message_id: str, row: int) -> None:
    cursor = Cursor(scored_at, message_id, row)

    text = cursor.encode()

    assert Cursor.decode(text) == cursor
    assert text.isascii()
    assert not set(text) & set("/+=&?#% ")


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*", fullmatch=True))
def test_any_text_is_a_cursor_or_an_invalid_one(text: str) -> None:
    try:
        cursor = Cursor.decode(text)
    except InvalidCursor:
        return
    assert cursor.scored_at.tzinfo


@pytest.mark.parametrize(
    "place",
    ['["2026-11-21T12:00:00","1-0",0]', '["2026-11-21T12:00:00Z","1-0",-1]', '["2026-11-21T12:00:00Z","a\\u0000",0]', '["no",1,2]', "{}"],
)
def test_a_cursor_that_the_store_could_not_compare_is_refused(place: str) -> None:
    with pytest.raises(InvalidCursor, match="is no cursor"):
        Cursor.decode(urlsafe_b64encode(place.encode()).decode())


def test_a_cursor_of_any_length_makes_a_short_message() -> None:
    with pytest.raises(InvalidCursor) as caught:
        Cursor.decode("A" * 100_000)

    assert len(str(caught.value)) < 300
