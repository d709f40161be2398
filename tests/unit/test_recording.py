"""The call on a request's way, the ids of answers, and the challenger, without a store."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.serving.loaded_model import LoadedModel
from hearth.serving.recording.agreement import ChallengeReport
from hearth.serving.recording.answer import Answer, describe_features
from hearth.serving.recording.messages import AnswerBatch, Refused, WriteResult
from hearth.serving.recording.recorder import Recorder
from hearth.serving.recording.request_ids import unique_id
from hearth.serving.recording.store_queue import StoreQueue
from hearth.tracing.context import current_trace_id
from hearth.tracing.traceparent import new_trace
from tests.support.recording import CONTRACTS, Always, Loaded, loaded, scored, settings
from tests.support.waiting import wait_until

NOWHERE = "postgresql://127.0.0.1:9/none"
CHAMPION = loaded("champion", "1", Always(1))
FAMILY = loaded("knn", "1", Always(1))


def recorder_with(*challengers: LoadedModel, **changes: float) -> Recorder:
    options = settings(NOWHERE, **{"record_predictions": "none", "challenger_share": 1, **changes})
    return Recorder(options, CONTRACTS, Loaded(CHAMPION, *challengers))


def answer(recorder: Recorder, rows: int, model: LoadedModel = CHAMPION) -> None:
    recorder.record(model, *scored(CHAMPION, rows), unique_id(), "grpc")


def answer_often(recorder: Recorder) -> None:
    for _ in range(200):
        answer(recorder, 2)


def report_of(recorder: Recorder) -> ChallengeReport:
    report = recorder.challenge_report("employees")
    assert report
    return report


def scored_by_challenger(recorder: Recorder) -> int:
    report = recorder.challenge_report("employees")
    return report.compared + sum(report.skipped.values()) if report else 0


class TestIds:
    @given(st.text(max_size=300))
    def test_one_is_never_given_twice_and_can_be_stored_and_printed(self, given: str) -> None:
        first, second = unique_id(given), unique_id(given)

        assert first != second
        assert first.isprintable()
        assert len(first) <= 141

    @given(st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True))
    def test_it_begins_with_what_the_caller_gave(self, given: str) -> None:
        assert unique_id(given).rpartition(".")[0] == given

    def test_those_that_we_make_are_in_the_order_of_time(self) -> None:
        first = unique_id()
        time.sleep(0.002)

        assert first < unique_id()


class TestCounts:
    def test_records_are_counted_by_what_answered_them_from_any_thread(self) -> None:
        with recorder_with() as recorder:
            threads = [threading.Thread(target=answer_often, args=[recorder]) for _ in range(4)]
            for thread in threads:
                thread.start()
            answer(recorder, 5, FAMILY)
            for thread in threads:
                thread.join()

        counts = recorder.counts()
        assert counts.scored == {("employees", "champion", "1", "grpc"): 1_600, ("employees", "knn", "1", "grpc"): 5}
        assert counts.storing.not_stored == {("off", "grpc", "answer"): 1_605}

    def test_an_answer_without_records_is_none(self) -> None:
        with recorder_with() as recorder:
            answer(recorder, 0)

        assert recorder.counts().scored == {}


class TestChallenger:
    def test_agreement_and_classes_of_both_are_counted(self) -> None:
        candidate = Always(2)
        with recorder_with(loaded("challenger", "2", candidate)) as recorder:
            answer(recorder, 3)
            wait_until(lambda: scored_by_challenger(recorder) == 3)
            candidate.code = 1
            for _ in range(5):
                answer(recorder, 1)
            wait_until(lambda: scored_by_challenger(recorder) == 8)
            report = report_of(recorder)

        assert (report.champion_version, report.challenger_version) == ("1", "2")
        assert (report.compared, report.agreed, report.agreement) == (8, 5, 0.625)
        assert (report.champion_classes, report.challenger_classes) == (
            {"Low": 0, "Medium": 8, "High": 0},
            {"Low": 0, "Medium": 5, "High": 3},
        )

    def test_it_is_asked_only_what_the_champion_answered(self) -> None:
        with recorder_with(loaded("challenger", "2", Always(1))) as recorder:
            answer(recorder, 7, FAMILY)
            answer(recorder, 2)
            wait_until(lambda: scored_by_challenger(recorder) == 2)

        assert report_of(recorder).compared == 2

    def test_a_new_version_begins_anew_and_the_old_counts_stay_in_the_metrics(self) -> None:
        models = Loaded(CHAMPION, loaded("challenger", "2", Always(1)))
        with Recorder(settings(NOWHERE, record_predictions="none", challenger_share=1), CONTRACTS, models) as recorder:
            answer(recorder, 2)
            wait_until(lambda: scored_by_challenger(recorder) == 2)
            models.models["employees", "challenger"] = loaded("challenger", "3", Always(0))
            wait_until(lambda: recorder._challenger._challengers["employees"].version == "3")
            answer(recorder, 4)
            wait_until(lambda: report_of(recorder).challenger_version == "3")

        assert (report_of(recorder).compared, report_of(recorder).agreement) == (4, 0.0)
        assert [(found.challenger_version, found.compared) for found in recorder.counts().challenges] == [("2", 2), ("3", 4)]

    def test_the_champion_is_not_compared_with_itself(self) -> None:
        with recorder_with(loaded("challenger", "1", Always(1))) as recorder:
            answer(recorder, 2)

        assert recorder.challenge_report("employees") is None

    def test_where_there_is_none_nothing_is_kept(self) -> None:
        with recorder_with() as recorder:
            answer(recorder, 2)

            assert not recorder._challenger._queue
        assert recorder.challenge_report("employees") is None

    def test_one_that_fails_is_counted_said_once_and_nobodys_business(self, caplog: pytest.LogCaptureFixture) -> None:
        candidate = Always(1)
        challenger = loaded("challenger", "2", candidate)
        candidate.failing = True
        with recorder_with(challenger) as recorder:
            for number in range(1, 4):
                answer(recorder, 2)
                wait_until(lambda: scored_by_challenger(recorder) == 2 * number)  # noqa: B023 - waited for at once
            candidate.failing = False
            answer(recorder, 1)
            wait_until(lambda: scored_by_challenger(recorder) == 7)

        assert (report_of(recorder).compared, report_of(recorder).skipped) == (1, {"failed": 6})
        assert len([line for line in caplog.records if "the challenger, version 2, fails" in line.getMessage()]) == 1

    def test_one_that_is_too_slow_is_spared_and_that_is_counted(self) -> None:
        candidate = Always(1)
        challenger = loaded("challenger", "2", candidate)
        candidate.gate.clear()
        candidate.called.clear()
        with recorder_with(challenger, record_queue_records=10) as recorder:
            answer(recorder, 4)
            assert candidate.called.wait(20)
            for _ in range(5):
                answer(recorder, 4)
            assert report_of(recorder).skipped == {"behind": 12}
            candidate.gate.set()
            wait_until(lambda: scored_by_challenger(recorder) == 24)

        assert report_of(recorder).compared == 12

    def test_many_records_are_scored_in_parts_and_compared_with_what_each_request_was_answered(self) -> None:
        with recorder_with(replace(loaded("challenger", "2", Always(1)), records_in_place=7)) as recorder:
            for rows in (1, 30, 100, 5):
                answer(recorder, rows)
            wait_until(lambda: scored_by_challenger(recorder) == 136)

        assert report_of(recorder).agreed == 136

    def test_a_share_of_the_requests_is_enough(self) -> None:
        with recorder_with(loaded("challenger", "2", Always(1)), challenger_share=0.25) as recorder:
            for _ in range(1_000):
                answer(recorder, 1)
            wait_until(lambda: not recorder._challenger._queue)

        assert 150 < report_of(recorder).compared < 350


class TestTraces:
    def test_without_an_exporter_a_request_that_cannot_be_stored_is_logged_in_its_trace(self, caplog: pytest.LogCaptureFixture) -> None:
        class Refusing:
            """A writer whose store refuses everything."""

            def put(self, _batch: AnswerBatch, _give_up: Callable[[], bool]) -> WriteResult:
                return Refused("it has no room")

            def end(self) -> None: ...

            def close(self) -> None: ...

        traces: dict[str, str | None] = {}

        def note(record: logging.LogRecord) -> bool:
            if "cannot be stored" in record.msg:
                traces[record.__dict__["request_id"]] = current_trace_id()
            return True

        columns, scores = scored(CHAMPION, 1)
        places = {unique_id(): new_trace() for _ in range(3)}
        queue = StoreQueue(Refusing(), {"employees": describe_features(CONTRACTS["employees"])}, 1_000, 1_000_000)
        caplog.handler.addFilter(note)
        for request_id, place in places.items():
            queue.add(Answer(CHAMPION, columns, scores, request_id, "grpc", "answer", 1.0, None, None, place))
        queue.start()
        queue.close(10)

        assert traces == {request_id: place.trace_id for request_id, place in places.items()}
