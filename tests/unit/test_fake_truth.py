"""What fake records turn out to be, how that may change, and how their labels come."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from pydantic_core import from_json

from hearth.contracts import load_contract
from hearth.errors import InvalidDrift
from hearth.fakes import FakeRecords
from hearth.fakes.drift import parse_drift
from hearth.fakes.truth import parse_concept, truth_of
from hearth.streaming.client import Fields
from hearth.streaming.producer.fake_labels import FakeLabels, LabelPlan
from hearth.streaming.producer.fake_messages import FakeMessage, Source, fake_messages
from hearth.streaming.retrying import Retrier
from tests.support.models import DATA

EMPLOYEES, HEART, COVERTYPE = (load_contract(name, DATA) for name in ("employees", "heart", "covertype"))
FAKES = {contract.name: FakeRecords.load(contract, DATA) for contract in (EMPLOYEES, HEART)}
SAMPLES = {name: fakes.records(1_000, 3) for name, fakes in FAKES.items()}


def messages(count: int, **changes: object) -> Iterator[FakeMessage]:
    source = Source(EMPLOYEES, FAKES["employees"], ("champion",), **changes)  # type: ignore[arg-type]  # fields of it
    return itertools.islice(fake_messages([source], 7, minutes=lambda number: number / 100), count)


def test_records_have_the_targets_of_the_same_rows() -> None:
    frame = FAKES["heart"].frame(200, 5)
    drawn = FAKES["heart"].records_with_targets(200, 5)

    assert [target for _, target in drawn] == frame["target"].tolist()
    assert [record for record, _ in drawn] == FAKES["heart"].records(200, 5)


def test_a_truth_is_a_class_and_a_missing_target_is_none() -> None:
    assert truth_of(EMPLOYEES, 0.4, {}, None, 0) == "Medium"
    assert truth_of(HEART, 1, {}, None, 0) == "No disease"
    assert truth_of(EMPLOYEES, None, {}, None, 0) is None
    truths = [truth for message in messages(3_000) for truth in message.truths]
    assert set(truths) == {"Low", "Medium", "High", None}


def test_a_target_that_is_cut_moves_from_a_minute_on() -> None:
    concept = parse_concept("+0.1", EMPLOYEES, SAMPLES["employees"], after_minutes=5)
    assert [truth_of(EMPLOYEES, 0.6, {}, concept, minutes) for minutes in (4.99, 5, 60)] == ["Medium", "High", "High"]
    assert truth_of(EMPLOYEES, 1.0, {}, concept, 5) == "High"
    assert str(concept) == "the target moves by +0.1 after 5 min"

    before, after = list(messages(2_000)), list(messages(2_000, concept=concept))
    assert [message.fields for message in before] == [message.fields for message in after], "a concept changes no record"
    changed = [number for number, (one, other) in enumerate(zip(before, after, strict=True)) if one.truths != other.truths]
    assert min(changed) >= 500
    assert 0.1 < len(changed) / 1_500 < 0.6


def test_a_share_of_the_records_changes_class_by_a_rule_that_can_be_learnt() -> None:
    concept = parse_concept("30%", HEART, SAMPLES["heart"])
    drawn = FAKES["heart"].records_with_targets(4_000, 11)
    changed = [truth_of(HEART, target, record, concept, 0) != truth_of(HEART, target, record, None, 0) for record, target in drawn]
    assert 0.2 < sum(changed) / 4_000 < 0.4
    assert all(
        has_changed == (float(str(record[concept.column])) >= concept.threshold)
        for has_changed, (record, _) in zip(changed, drawn, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "contract", "problem"),
    [
        ("a lot", EMPLOYEES, r"changes as \+0.1"),
        ("0", EMPLOYEES, r"changes as \+0.1"),
        ("+0.1", HEART, "is not cut into classes: give a share"),
        ("101%", HEART, "at most 100 %"),
        ("-5%", HEART, "above 0 %"),
    ],
)
def test_a_concept_that_cannot_be_is_refused(text: str, contract: object, problem: str) -> None:
    with pytest.raises(InvalidDrift, match=problem):
        parse_concept(text, contract, SAMPLES["heart"])  # type: ignore[arg-type]


def test_a_drift_of_the_sensors_leaves_the_truth() -> None:
    drift = parse_drift(["Sleep Hours=-1sd/min"], [EMPLOYEES], SAMPLES)["employees"]
    plain, drifted = list(messages(500)), list(messages(500, drift=drift))
    assert [message.truths for message in plain] == [message.truths for message in drifted]
    assert [message.fields for message in plain] != [message.fields for message in drifted]


class Sink:
    """A stream of labels that remembers."""

    def __init__(self) -> None:
        self.messages: list[Fields] = []
        self.waits = 0

    def length(self) -> int:
        return self.waits

    def send(self, messages: Sequence[Fields]) -> list[str]:
        self.messages += messages
        return [f"{number}-0" for number in range(len(messages))]

    def reports(self) -> list[dict[str, object]]:
        return [report for fields in self.messages for report in from_json(fields[b"reports"])]


class LateLabels:
    """Labels of some messages, with a clock of their own."""

    def __init__(self, plan: LabelPlan, seed: int = 0) -> None:
        self.sink, self.now = Sink(), 0.0
        classes = {"employees": EMPLOYEES.target.classes}
        self.labels = FakeLabels(
            self.sink,  # type: ignore[arg-type]  # all of a writer that is used
            plan,
            classes,
            max_length=1_000,
            retrier=Retrier(threading.Event()),
            clock=lambda: self.now,
            seed=seed,
        )

    def add(self, made: Sequence[FakeMessage]) -> list[FakeMessage]:
        self.labels.add([f"{number}-7" for number in range(len(made))], made)
        return list(made)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.labels.send_due()


def test_labels_come_late_for_a_share_of_the_records_with_the_id_and_the_row_that_are_stored() -> None:
    late = LateLabels(LabelPlan(share=0.7, delay_seconds=60))
    made = late.add(list(messages(4_000)))

    late.wait(5)
    assert not late.sink.reports()
    late.wait(55)
    half = len(late.sink.reports())
    late.wait(600)
    reports = late.sink.reports()

    with_truth = {f"{number}-7": message.truths[0] for number, message in enumerate(made) if message.truths[0]}
    assert 0.66 < len(reports) / len(with_truth) < 0.74
    assert 0.45 < half / len(reports) < 0.55
    assert all(report["truth"] == with_truth[str(report["id"])] and report["row"] == 0 for report in reports)
    assert max(len(from_json(fields[b"reports"])) for fields in late.sink.messages) <= 100
    assert {fields[b"dataset"] for fields in late.sink.messages} == {b"employees"}
    assert (late.labels.sent, late.labels.waiting) == (len(reports), 0)


def test_noise_names_another_class_for_its_share() -> None:
    plain, noisy = LateLabels(LabelPlan(delay_seconds=1)), LateLabels(LabelPlan(delay_seconds=1, noise=0.2))
    for late in (plain, noisy):
        late.add(list(messages(4_000)))
        late.wait(600)

    pairs = list(zip(plain.sink.reports(), noisy.sink.reports(), strict=True))
    truths = {str(report["id"]): report["truth"] for report, _ in pairs}
    wrong = Counter(report["truth"] != truths[str(report["id"])] for _, report in pairs)
    assert 0.17 < wrong[True] / wrong.total() < 0.23


def test_records_that_are_refused_have_no_label() -> None:
    late = LateLabels(LabelPlan(delay_seconds=1))
    source = Source(EMPLOYEES, FAKES["employees"], ("champion",))
    made = late.add(list(fake_messages([source], 5, sizes=(1, 7), records=2_000, bad_share=0.3)))
    late.wait(600)

    good = {
        (f"{number}-7", row)
        for number, message in enumerate(made)
        for row, truth in enumerate(message.truths)
        if message.readable and row not in message.bad and truth
    }
    assert {(report["id"], report["row"]) for report in late.sink.reports()} == good


def test_while_the_stream_of_labels_is_full_they_wait() -> None:
    late = LateLabels(LabelPlan(delay_seconds=1))
    late.add(list(messages(10)))
    late.sink.waits = 1_000
    late.wait(600)
    assert not late.sink.messages
    late.sink.waits = 999
    late.wait(0)
    assert late.sink.messages
