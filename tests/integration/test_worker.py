"""What the stream worker promises, on a real Valkey and a real PostgreSQL; only the model is small."""

import json
import logging
import time
from collections.abc import Sequence

import pytest

from hearth.errors import PredictionsUnavailable
from hearth.logs.forms import JsonForm, TextForm
from hearth.predictions import PredictionStore
from hearth.streaming.client import StreamWriter
from hearth.streaming.dead_letters import DeadLetters
from hearth.streaming.messages import encode
from tests.support.models import FakeRegistry
from tests.support.waiting import wait_until
from tests.support.worker_bench import CONTRACT, Bench, record


def test_each_record_is_stored_under_its_message_and_row_with_the_version_that_scored_it(bench: Bench) -> None:
    first = bench.send(record(0), record(5))
    second = bench.send(record(3), alias="knn")

    with bench.working(FakeRegistry(champion="3", knn="2")):
        wait_until(lambda: bench.count() == 3)

    told = {(found.message_id, found.row): found for found in bench.stored()}
    assert {key: found.label for key, found in told.items()} == {(first, 0): "Low", (first, 1): "High", (second, 0): "Medium"}
    assert {key: (found.alias, found.version) for key, found in told.items()} == {
        (first, 0): ("champion", "3"),
        (first, 1): ("champion", "3"),
        (second, 0): ("knn", "2"),
    }
    high = told[first, 1]
    assert (high.dataset, high.family, high.code, high.record) == ("employees", "knn", 2, record(5))
    assert high.probabilities == pytest.approx((0.1, 0.1, 0.8))
    assert high.enqueued_at is not None
    assert high.enqueued_at <= high.scored_at


def test_the_log_has_one_readable_line_a_batch(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = bench.send(*[record(0)] * 12)

    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.settled() and bench.count() == 12)

    [line] = [found.getMessage() for found in caplog.records if "records of" in found.getMessage()]
    assert line.startswith("12 records of employees@champion v3 in ")
    assert f"Low 0.80 {first}" in line
    assert line.endswith("…")


@pytest.mark.parametrize("form", [TextForm("stream_worker"), JsonForm("stream_worker")])
def test_the_log_holds_no_value_of_a_record(bench: Bench, caplog: pytest.LogCaptureFixture, form: logging.Formatter) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "Ana Pérez\n1984-05-06"
    bench.send(record(0), record(Gender=secret), secret, record(**{"Team Size": 261.75}), record(**{secret: 1}))
    bench.send(record(0), dataset=secret)
    bench.writer.send([{b"dataset": b"employees", b"records": secret.encode()}])

    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: len(bench.dead()) == 3)

    lines = [form.format(found) for found in caplog.records]
    assert sum("is dead" in line for line in lines) == 3
    for value in ("Ana", "1984", "261.75", "P\\u00e9rez"):
        assert not [line for line in lines if value in line]


def test_a_message_is_acknowledged_only_after_it_is_stored(bench: Bench) -> None:
    seen: list[int] = []

    class Asking(PredictionStore):
        def put_lines(self, lines: Sequence[bytes]) -> int:
            seen.append(bench.pending())
            return super().put_lines(lines)

    bench.send(record())
    with Asking(bench.database_url) as store, bench.working(FakeRegistry(champion="3"), store):
        wait_until(bench.settled)

    assert seen == [1]
    assert bench.count() == 1


def test_a_bad_record_costs_no_good_one_beside_it(bench: Bench) -> None:
    id_ = bench.send(record(0), record(Gender="nobody"), "no record", record(5))

    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: len(bench.dead()) == 1)

    assert [(found.row, found.label) for found in bench.stored()] == [(0, "Low"), (3, "High")]
    [letter] = bench.dead()
    assert (letter["message_id"], letter["error"]) == (id_, "invalid_records")
    assert "row 1, 'Gender': got 'nobody', expected one of 'Female', 'Male'" in letter["reason"]
    assert "row 2" in letter["reason"]
    assert json.loads(letter["original.records"])[1]["Gender"] == "nobody"
    assert bench.settled()


def test_a_personal_value_is_scored_but_neither_stored_nor_in_a_letter_nor_in_a_log_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    columns = {name: column.model_copy(update={"personal": name == "Gender"}) for name, column in CONTRACT.columns.items()}
    good, bad = bench.send(record(5)), bench.send(record(Gender="very-personal"))

    with bench.working(FakeRegistry(champion="3"), contract=CONTRACT.model_copy(update={"columns": columns})):
        wait_until(lambda: bench.settled() and bench.count() == 1)

    [stored] = bench.stored()
    assert (stored.message_id, stored.label) == (good, "High")
    assert stored.record == {name: value for name, value in record(5).items() if name != "Gender"}
    [letter] = bench.dead()
    assert letter["message_id"] == bad
    assert "'Gender': got '(personal, not shown)', expected one of 'Female', 'Male'" in letter["reason"]
    assert "very-personal" not in str(letter) + caplog.text
    assert json.loads(letter["original.records"])[0].keys() == record().keys() - {"Gender"}


def test_a_message_with_a_field_that_is_there_twice_is_a_dead_letter_that_names_it_and_holds_both_values(bench: Bench) -> None:
    bad, good = json.dumps(record("two")), json.dumps(record())
    bench.redis.execute_command("XADD", bench.name, "*", "dataset", "employees", "record", bad, "record", good)
    bench.send(record())

    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.settled() and bench.count() == 1)

    with DeadLetters(bench.valkey_url, bench.name) as letters:
        [letter] = letters.list()
    assert (letter.error, letter.reason) == ("invalid_message", "a field may occur only once; these occur more often: 'record'")
    assert [*letter.repeated, (b"record", letter.fields[b"record"])] == [(b"record", bad.encode()), (b"record", good.encode())]


def test_a_field_that_nobody_reads_is_refused_by_name_and_model_stands_for_alias(bench: Bench) -> None:
    fields = {b"dataset": b"employees", b"record": json.dumps(record()).encode()}
    unread, both, model = bench.writer.send(
        [{**fields, b"version": b"1"}, {**fields, b"alias": b"knn", b"model": b"knn"}, {**fields, b"model": b"knn"}]
    )

    with bench.working(FakeRegistry(champion="3", knn="2")):
        wait_until(lambda: bench.settled() and bench.count() == 1)

    assert [(found.message_id, found.alias) for found in bench.stored()] == [(model, "knn")]
    reasons = {letter["message_id"]: letter["reason"] for letter in bench.dead()}
    assert reasons.keys() == {unread, both}
    assert reasons[unread].startswith("unknown fields: 'version'; expected ")
    assert "either 'alias' or 'model'" in reasons[both]


def test_the_last_settled_messages_can_be_looked_at_and_are_not_scored_again(bench: Bench) -> None:
    ids = [bench.send(record()) for _ in range(7)]
    late = StreamWriter(bench.valkey_url, bench.name, keep=3)

    for _ in range(2):
        with bench.working(FakeRegistry(champion="3"), stream_keep_messages=3):
            ids.append(bench.send(record()))
            wait_until(lambda: bench.settled() and bench.count() == len(ids))
            wait_until(lambda: [id_.decode() for id_, _ in bench.redis.xrange(bench.name)] == ids[-3:])
            assert late.length() == 0

    assert bench.dead() == []


def test_what_can_never_be_scored_is_buried_with_its_reason_and_holds_up_nothing(bench: Bench) -> None:
    bench.writer.send([{b"dataset": b"employees", b"records": b"{not json"}, {b"what": b"\xff"}])
    bench.send(record(), dataset="strangers")
    bench.send(record(), alias="stranger")
    bench.send(record("two"))
    bench.send(record())

    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.settled() and len(bench.dead()) == 5)

    assert sorted(letter["error"] for letter in bench.dead()) == [
        "invalid_message",
        "invalid_message",
        "invalid_records",
        "unknown_alias",
        "unknown_dataset",
    ]
    assert bench.count() == 1


def test_an_alias_without_a_version_is_waited_for_and_holds_up_no_other(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    waiting = [bench.send(record(), alias="svm") for _ in range(3)]
    shelf = FakeRegistry(champion="3")

    with bench.working(shelf):
        bench.send(record())
        wait_until(lambda: bench.count() == 1)
        assert bench.pending() == len(waiting)
        shelf.carried["svm"] = "4"
        wait_until(lambda: bench.settled() and bench.count() == 4)

    assert {found.version for found in bench.stored() if found.message_id in waiting} == {"4"}
    assert bench.dead() == []
    assert len([line for line in caplog.messages if "messages wait" in line]) == 1


def test_what_waits_for_a_model_is_not_taken_over_by_another_worker(bench: Bench) -> None:
    id_ = bench.send(record(), alias="svm")

    with bench.working(FakeRegistry(champion="3"), stream_claim_idle_milliseconds=6_000):
        wait_until(lambda: bench.pending() == 1)
        with bench.working(FakeRegistry(champion="3"), stream_consumer="two", stream_claim_idle_milliseconds=6_000):
            time.sleep(9)
        [state] = bench.redis.xpending_range(bench.name, "workers", id_, id_, 1)

    assert (state["consumer"], state["times_delivered"]) == (b"one", 1)


def test_too_much_that_waits_is_not_read_into_memory(bench: Bench) -> None:
    for _ in range(30):
        bench.send(record(), alias="svm")

    with bench.working(FakeRegistry(champion="3"), stream_batch_messages=1):
        wait_until(lambda: bench.pending() == 10)
        time.sleep(1.5)
        assert bench.pending() == 10


def test_a_worker_that_leaves_gives_back_what_it_could_not_score(bench: Bench) -> None:
    id_ = bench.send(record(), alias="svm")
    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.pending() == 1)

    with bench.working(FakeRegistry(svm="4"), stream_consumer="two"):
        wait_until(lambda: bench.settled() and bench.count() == 1)

    assert [found.message_id for found in bench.stored()] == [id_]


def test_a_worker_that_leaves_while_the_store_is_away_gives_everything_back(bench: Bench) -> None:
    bench.writer.send([encode("employees", "champion", [record()] * 3)] * 40)

    with (
        Away(bench.database_url) as store,
        bench.working(FakeRegistry(champion="3"), store, stream_batch_messages=20, stream_batch_records=9),
    ):
        wait_until(lambda: bench.pending() == 20)

    held = bench.redis.xpending_range(bench.name, "workers", "-", "+", 100)
    assert [one["times_delivered"] for one in held] == [0] * 20
    with bench.working(FakeRegistry(champion="3"), stream_consumer="two"):
        wait_until(lambda: bench.settled() and bench.count() == 120)


class Away(PredictionStore):
    """A store whose server can be taken away."""

    away = True

    def put_lines(self, lines: Sequence[bytes]) -> int:
        if self.away:
            raise PredictionsUnavailable("The predictions store is away.")
        return super().put_lines(lines)


def test_while_the_store_is_away_nothing_is_acknowledged_and_then_nothing_is_lost(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(5):
        bench.send(record())

    with Away(bench.database_url) as store, bench.working(FakeRegistry(champion="3"), store):
        wait_until(lambda: bench.pending() == 5)
        time.sleep(1)
        assert bench.pending() == 5
        store.away = False
        wait_until(bench.settled)

    assert bench.count() == 5
    assert len([line for line in caplog.messages if line.startswith("waiting")]) == 1
    assert len([line for line in caplog.messages if line.startswith("going on")]) == 1


def test_a_worker_can_leave_while_the_store_is_away_and_the_next_one_loses_nothing(bench: Bench) -> None:
    bench.send(record())
    with Away(bench.database_url) as store, bench.working(FakeRegistry(champion="3"), store):
        wait_until(lambda: bench.pending() == 1)
    assert bench.count() == 0

    with bench.working(FakeRegistry(champion="3"), stream_consumer="two"):
        wait_until(bench.settled)

    assert bench.count() == 1


def test_a_message_that_is_delivered_again_after_it_was_stored_changes_nothing(bench: Bench) -> None:
    class Forgetful(PredictionStore):
        """Stores, and then the answer is lost: the worker cannot know."""

        calls = 0

        def put_lines(self, lines: Sequence[bytes]) -> int:
            super().put_lines(lines)
            self.calls += 1
            if self.calls == 1:
                raise PredictionsUnavailable("The connection broke.")
            return 0

    id_ = bench.send(record(0))
    with Forgetful(bench.database_url) as store, bench.working(FakeRegistry(champion="3"), store):
        wait_until(bench.settled)
    [before] = bench.stored()
    bench.redis.xgroup_setid(bench.name, "workers", "0")  # everything once more
    with bench.working(FakeRegistry(champion="9"), stream_consumer="two"):
        bench.send(record())
        wait_until(lambda: bench.settled() and bench.count() == 2)

    assert next(found for found in bench.stored() if found.message_id == id_) == before


def test_the_stream_is_bounded_by_what_is_not_settled(bench: Bench) -> None:
    for _ in range(50):
        bench.send(record())

    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.writer.length() == 0)
    assert bench.count() == 50


def test_a_model_that_moves_is_followed(bench: Bench) -> None:
    shelf = FakeRegistry(champion="3")
    with bench.working(shelf):
        bench.send(record())
        wait_until(lambda: bench.count() == 1)
        shelf.carried["champion"] = "4"
        wait_until(lambda: "4" in shelf.loads)
        polls = shelf.polls
        wait_until(lambda: shelf.polls > polls)  # the next poll comes after the change of models
        bench.send(record())
        wait_until(lambda: bench.count() == 2)

    assert [found.version for found in bench.stored()] == ["3", "4"]
