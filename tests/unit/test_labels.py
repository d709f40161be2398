"""What one more report means beside those that are known of a record."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hearth.predictions.label import Label, LabelHistory, LabelOutcome, Outcome

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
CLASSES = ("Low", "Medium", "High")


def label(code: int, minutes: float | None = 0) -> Label:
    observed_at = None if minutes is None else NOON + timedelta(minutes=minutes)
    return Label("1-0", 0, "employees", code, CLASSES[code], observed_at, "hr", "rest")


def add(history: LabelHistory, new: Label) -> tuple[LabelOutcome, bool]:
    outcome, stored = history.add(new, NOON + timedelta(days=1), is_predicted=True)
    return outcome, stored is not None


def test_the_first_label_joins_or_waits() -> None:
    for is_predicted, outcome in ((True, Outcome.JOINED), (False, Outcome.WAITING)):
        assert LabelHistory().add(label(1), NOON, is_predicted=is_predicted)[0] == LabelOutcome(outcome)


def test_a_different_label_takes_the_place_of_one_that_was_observed_before() -> None:
    history = LabelHistory()
    add(history, label(0))

    assert add(history, label(2, 1)) == (LabelOutcome(Outcome.CHANGED, before="Low"), True)
    assert history.current is not None
    assert history.current.label == "High"
    assert add(history, label(1, -1)) == (LabelOutcome(Outcome.OLDER, before="High"), True)
    assert history.current.label == "High"


def test_a_correction_of_the_same_moment_counts() -> None:
    history = LabelHistory()
    add(history, label(0))

    assert add(history, label(1)) == (LabelOutcome(Outcome.CHANGED, before="Low"), True)
    assert add(history, label(0)) == (LabelOutcome(Outcome.SAME), False)  # the first is delivered again
    assert history.current is not None
    assert history.current.label == "Medium"


def test_a_report_without_a_moment_may_be_repeated() -> None:
    history = LabelHistory()

    assert add(history, label(1, None)) == (LabelOutcome(Outcome.JOINED), True)
    assert add(history, label(1, None)) == (LabelOutcome(Outcome.SAME), False)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=8, unique_by=lambda item: item[1]), st.data())
def test_the_same_label_counts_whatever_the_order_and_the_repetitions(reports: list[tuple[int, int]], data: st.DataObject) -> None:
    repeated = reports + data.draw(st.lists(st.sampled_from(reports), max_size=4) if reports else st.just([]))
    history = LabelHistory()
    for code, minutes in data.draw(st.permutations(repeated)):
        add(history, label(code, minutes))

    newest = max(reports, key=lambda report: report[1], default=None)
    current = history.current
    assert (current.code if current else None) == (newest[0] if newest else None)
    if current and newest:
        assert current.observed_at == NOON + timedelta(minutes=newest[1])
        assert add(history, label(current.code, newest[1])) == (LabelOutcome(Outcome.SAME), False)
