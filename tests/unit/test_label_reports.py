"""How reports of labels are counted for the audit trail: whoever reports decides not how many rows there are."""

from collections.abc import Iterable, Sequence

from hearth.audit import Actor, Entry, Result, acting
from hearth.audit.minutes import WINDOW_SECONDS
from hearth.audit.reports import MOST_CALLERS, LabelReports
from hearth.predictions.feedback import Door
from hearth.predictions.label import Label, LabelOutcome, RecordKey
from hearth.predictions.label_store import LabelStore
from hearth.serving.feedback import Feedback


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class NothingStored(LabelStore):
    """A store without predictions, for reports that are all refused."""

    def datasets(self, keys: Iterable[RecordKey]) -> dict[RecordKey, str]:  # noqa: ARG002 - as the store has it
        return {}

    def add(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        assert not labels
        return []


def nobody(address: str, door: str = "rest") -> Actor:
    return Actor("nobody", "", door, address)


def figures(row: Entry) -> tuple[str, object, object, object]:
    return row.dataset, row.detail["requests"], row.detail["reports"], row.detail["outcomes"]


def test_the_requests_of_a_caller_in_a_minute_are_a_row_for_each_data_set_written_when_it_is_over() -> None:
    clock = Clock()
    reports = LabelReports(clock)
    for _ in range(500):
        reports.count(nobody("192.0.2.1"), [("heart", "joined"), ("heart", "waiting"), ("", "refused")])
    reports.count(nobody("192.0.2.1"), [("employees", "same")])
    assert reports.take() == []

    clock.now = WINDOW_SECONDS
    rows = reports.take()

    assert [(row.action, row.actor) for row in rows] == [("labels_reported", nobody("192.0.2.1"))] * 3
    assert [row.result for row in rows] == [Result.DONE, Result.REFUSED, Result.DONE]
    assert [figures(row) for row in rows] == [
        ("heart", 500, 1_000, {"joined": 500, "waiting": 500}),
        ("", 500, 500, {"refused": 500}),
        ("employees", 1, 1, {"same": 1}),
    ]
    assert reports.take(everything=True) == []


def test_callers_beyond_a_number_share_a_row_of_their_door_and_key() -> None:
    reports = LabelReports(Clock())
    for number in range(10_000):
        reports.count(nobody(f"host {number}", "grpc" if number % 2 else "rest"), [("", "refused")] * 2)
    reports.count(Actor("key", "hr", "rest", "192.0.2.1"), [("heart", "joined")] * 2)

    rows = reports.take(everything=True)

    assert len(rows) == MOST_CALLERS + 3
    shared = [(row.actor.kind, row.actor.name, row.actor.door) for row in rows if row.actor.address == "other addresses"]
    assert shared == [("nobody", "", "rest"), ("nobody", "", "grpc"), ("key", "hr", "rest")]


def test_the_addresses_of_an_ipv6_network_are_one_caller() -> None:
    reports = LabelReports(Clock())
    with NothingStored("postgresql://nowhere.invalid/none") as store:
        feedback = Feedback(store, {}, reports)
        for number in range(1, 50):
            with acting(nobody(f"2001:db8::{number:x}")):
                feedback.receive([{"id": "m1"}, {"truth": 1}], Door("rest", "rest"))

    [row] = reports.take(everything=True)
    assert (row.actor.address, row.detail["requests"]) == ("2001:db8::/64", 49)
