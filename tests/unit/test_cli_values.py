"""The values of the command line: what each kind of option takes, and how it refuses the rest."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from hearth.cli import data, values
from hearth.fakes import DEMO_ROWS, DEMO_SEED

Parse = Callable[[object], object]
DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.parse_whole, "1", 1),
        (values.parse_whole, 100_000, 100_000),
        (values.parse_number, "0.5", 0.5),
        (values.parse_share, "0", 0),
        (values.parse_share, "1.0", 1),
        (values.parse_share, "5%", 0.05),
        (values.parse_rate, "max", values.AS_FAST_AS_POSSIBLE),
        (values.parse_rate, "2.5", 2.5),
        (values.parse_moment, "2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        (values.parse_moment, "2026-11-21T08:00:00+01:00", datetime(2026, 11, 21, 8, tzinfo=timezone(timedelta(hours=1)))),
        (values.parse_duration, "90", 90),
        (values.parse_duration, "0.3", 0.3),
        (values.parse_duration, "250ms", 0.25),
        (values.parse_duration, "90s", 90),
        (values.parse_duration, "5m", 300),
        (values.parse_duration, "2h", 7_200),
        (values.parse_duration, "7d", 604_800),
        (values.parse_field_change, "alias=knn", values.FieldChange("alias", "knn")),
        (values.parse_datasets, "all", "all"),
    ],
)
def test_a_value_is_read(parse: Parse, text: object, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "texts", "expectation"),
    [
        (values.parse_whole, ["0", "-1", "1.5", "", "x", "1e3", "\u0661", "9" * 30], "a whole number of 1 or more"),
        (values.parse_number, ["0", "-1", "nan", "inf", "x"], "a number above 0"),
        (values.parse_share, ["-0.1", "1.1", "101%", "nan", "%", "x"], "a share from 0 to 1"),
        (values.parse_rate, ["-1", "inf", "nan", "fast"], "records a second"),
        (values.parse_moment, ["yesterday", "2026-13-01", "21.11.2026", ""], "a date or a moment"),
        (values.parse_duration, ["0", "-5s", "5 weeks", "s", "1e3", ""], "a duration such as 90s"),
        (values.parse_field_change, ["colour=red", "alias", "alias="], "alias=VALUE or dataset=VALUE"),
    ],
)
def test_a_wrong_value_is_refused_with_the_text_and_what_was_expected(parse: Parse, texts: list[str], expectation: str) -> None:
    for text in texts:
        with pytest.raises(typer.BadParameter, match=rf"expected .*{re.escape(expectation)}.*, got {re.escape(repr(text))}"):
            parse(text)


def test_a_whole_number_has_bounds() -> None:
    assert values.parse_whole("0", 0, 5) == 0
    with pytest.raises(typer.BadParameter, match="from 0 to 5"):
        values.parse_whole("6", 0, 5)


@given(st.floats(0, 1))
def test_every_share_is_taken_as_it_is_written(share: float) -> None:
    assert values.parse_share(repr(share)) == share


@pytest.mark.parametrize("parse", [values.parse_dataset, values.parse_datasets])
def test_an_unknown_data_set_is_answered_with_the_names_of_all(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_DATA_DIR", str(DATA))

    assert parse("heart") == "heart"
    with pytest.raises(typer.BadParameter, match=r"no data set 'cats'.*covertype, employees, heart"):
        parse("cats")


def test_names_of_data_sets_may_have_spaces_behind_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_DATA_DIR", str(DATA))

    assert values.parse_datasets("heart, employees") == "heart,employees"


def test_a_data_set_is_not_checked_before_the_settings_say_where_data_sets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARTH_DATA_DIR", raising=False)

    assert values.parse_dataset("cats") == "cats"


def test_names_of_data_sets_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_DATA_DIR", str(DATA))

    assert values._complete_dataset("e") == ["employees"]


def test_demo_data_have_the_size_and_the_seed_of_the_package() -> None:
    assert (data._ROWS, data._SEED) == (DEMO_ROWS, DEMO_SEED)
