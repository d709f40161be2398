"""How a report of what a record turned out to be is read."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.contracts import load_contract
from hearth.contracts.truth import read_truth
from hearth.errors import InvalidTruth
from hearth.predictions.feedback import Door, Receipt, count_outcomes, receive
from hearth.predictions.label import Label, LabelOutcome, Outcome, RecordKey

DATA = Path(__file__).parents[2] / "data"
CONTRACTS = {name: load_contract(name, DATA) for name in ("employees", "heart", "covertype")}
EMPLOYEES, HEART, COVERTYPE = (CONTRACTS[name] for name in ("employees", "heart", "covertype"))
DOOR = Door("rest", "somebody")


class Shelf:
    """Remembers the labels, and has one prediction of employees."""

    def __init__(self) -> None:
        self.labels: list[Label] = []

    def datasets(self, keys: set[RecordKey]) -> dict[RecordKey, str]:
        return {key: "employees" for key in keys if key == RecordKey("known", 0)}

    def add(self, labels: list[Label]) -> list[LabelOutcome]:
        self.labels += labels
        return [LabelOutcome(Outcome.JOINED if label.message_id == "known" else Outcome.WAITING) for label in labels]


def receipts(*reports: object, door: Door = DOOR) -> tuple[list[Receipt], list[Label]]:
    shelf = Shelf()
    return receive(shelf, CONTRACTS, reports, door), shelf.labels  # type: ignore[arg-type]  # all of a store that is used


@pytest.mark.parametrize("value", ["Ponderosa Pine", 3, 3.0, "3", " 3 ", "3.0"])
def test_a_class_is_named_or_written_as_its_column_holds_it(value: object) -> None:
    assert read_truth(COVERTYPE, value) == 2


@pytest.mark.parametrize(("value", "position"), [(0.2, 0), (0.33, 1), ("0.659", 1), (0.66, 2), (0, 0), (2, 2), ("High", 2)])
def test_a_measurement_is_cut_as_the_data_are(value: object, position: int) -> None:
    assert read_truth(EMPLOYEES, value) == position


def test_a_number_that_may_be_two_classes_is_refused() -> None:
    with pytest.raises(
        InvalidTruth, match="truth: got 1, expected one of Low, Medium, High: the number is one class as a value of 'Burn Rate'"
    ):
        read_truth(EMPLOYEES, 1)


@pytest.mark.parametrize("value", ["high", 9, -1, 0.5, True, float("nan"), float("inf"), 10**400, "1e999", "٣", [], {}])
def test_what_is_no_class_is_refused_with_the_classes(value: object) -> None:
    with pytest.raises(InvalidTruth, match="expected one of Disease, No disease, or one of 0, 1"):
        read_truth(HEART, value)


@given(st.sampled_from(list(CONTRACTS.values())), st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_whatever_is_sent_is_a_class_or_a_clear_error(contract: object, value: object) -> None:
    try:
        position = read_truth(contract, value)  # type: ignore[arg-type]
    except InvalidTruth as error:
        assert str(error).startswith("truth: got ")  # noqa: PT017
    else:
        assert position in range(7)


def test_bad_reports_are_answered_beside_good_ones() -> None:
    answers, labels = receipts(
        {"id": "known", "truth": "High"},
        {"id": "unknown", "truth": "High"},
        {"id": "unknown", "truth": "No disease", "dataset": "heart", "row": 3, "reported_by": "clinic"},
        {"id": "known", "truth": "Hihg", "row": 0},
        {"id": "known", "truth": "High", "dataset": "heart"},
        {"id": "x", "truth": 1, "dataset": "nothing"},
        {"id": "known"},
        {"id": "known", "truth": 2, "rwo": 1},
        {"id": "known", "truth": 2, "row": -1},
        {"id": "known", "truth": 2, "row": True},
        {"id": "a\0b", "truth": 2},
        {"id": 7, "truth": 2},
        "known",
        {"id": "known", "truth": 2, "observed_at": "yesterday"},
    )

    assert [(label.message_id, label.row, label.dataset, label.label, label.reported_by) for label in labels] == [
        ("known", 0, "employees", "High", "somebody"),
        ("unknown", 3, "heart", "No disease", "clinic"),
    ]
    assert [answer.error or answer.outcome for answer in answers] == [
        "joined",
        "unknown_prediction",
        "waiting",
        "invalid_truth",
        "invalid_feedback",
        "unknown_dataset",
        *["invalid_feedback"] * 8,
    ]
    assert (
        answers[3].detail
        == "truth: got 'Hihg', expected one of Low, Medium, High, or a number from 0 to 1 (ratio), which is cut into these."
    )
    assert answers[4].detail == "dataset: got 'heart', expected 'employees', to which the prediction belongs."
    assert answers[7].detail is not None
    assert "field: got 'rwo', expected one of id, row, truth" in answers[7].detail
    assert (answers[8].id, answers[8].row) == ("known", 0)
    assert count_outcomes(answers) == {"joined": 1, "refused": 12, "waiting": 1}


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2026-11-21T08:00:00+01:00", datetime(2026, 11, 21, 7, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        (date(2026, 11, 21), datetime(2026, 11, 21, tzinfo=UTC)),
        (None, None),
    ],
)
def test_the_moment_of_the_observation_may_have_a_zone_be_a_day_or_be_missing(sent: object, moment: datetime | None) -> None:
    _, [label] = receipts({"id": "known", "truth": "Low", "observed_at": sent})
    assert label.observed_at == moment


def test_what_was_observed_in_the_future_or_before_1970_is_refused() -> None:
    now = datetime.now(UTC)
    tomorrow, soon = ((now + after).isoformat() for after in (timedelta(days=1), timedelta(minutes=1)))
    moments = (tomorrow, "1969-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", soon)
    answers, labels = receipts(*({"id": "known", "truth": "Low", "observed_at": moment} for moment in moments))

    assert [answer.is_refused for answer in answers] == [True] * 4 + [False]
    assert len(labels) == 1
    assert answers[0].detail is not None
    assert "expected a time from 1970 to now" in answers[0].detail


def test_a_door_names_the_data_set_and_the_reporter_for_those_that_do_not() -> None:
    _, labels = receipts({"id": "x", "truth": "Disease"}, door=Door("file", "labels.csv", "heart"))
    assert [(label.dataset, label.reported_by, label.source) for label in labels] == [("heart", "labels.csv", "file")]
