"""What was answered is stored by a process of its own in a real PostgreSQL, which goes away, hangs, refuses and comes back."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psutil
import psycopg
import pytest

from deploy.embedded import temporary_servers
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.serving.recording.challenge_report import main as agreement_main
from hearth.serving.recording.challenge_report import stored_challenges
from hearth.serving.recording.recorder import Recorder
from hearth.serving.recording.request_ids import unique_id
from tests.support.recording import CONTRACTS, RECORDS, Always, Loaded, loaded, scored, settings
from tests.support.samples import EMPLOYEES, ROOT
from tests.support.waiting import LIMIT_SECONDS, wait_until

CHAMPION = loaded("champion", "1", Always(1))


@pytest.fixture
def url(fresh_database: str) -> str:
    migrate(fresh_database)
    return fresh_database


@pytest.fixture
def store(url: str) -> Iterator[PredictionStore]:
    with PredictionStore(url) as store:
        yield store


def answer(recorder: Recorder, rows: int, request_id: str | None = None, start: int = 0) -> str:
    request_id = request_id or unique_id()
    recorder.record(CHAMPION, *scored(CHAMPION, rows, start), request_id, "rest")
    return request_id


def not_stored(recorder: Recorder) -> dict[str, int]:
    by_reason: Counter[str] = Counter()
    for (reason, _, _), count in recorder.counts().storing.not_stored.items():
        by_reason[reason] += count
    return dict(by_reason)


def stored(recorder: Recorder) -> int:
    return sum(recorder.counts().storing.stored.values())


def is_idle(recorder: Recorder) -> bool:
    return recorder.counts().storing.waiting == 0


def writer_pid() -> int:
    [child] = [child for child in psutil.Process().children() if "hearth.serving.recording.writer" in child.cmdline()]
    return int(child.pid)


def test_what_was_answered_is_stored_as_it_was_asked_and_answered(url: str, store: PredictionStore) -> None:
    before = datetime.now(UTC)
    with Recorder(settings(url), CONTRACTS, Loaded()) as recorder:
        ids = [answer(recorder, 1), answer(recorder, 200, start=5)]

    for request_id, start, rows in zip(ids, (0, 5), (1, 200), strict=True):
        found = store.of_message(request_id)
        assert [given.row for given in found] == list(range(rows))
        assert [given.record for given in found] == RECORDS[start : start + rows]
        first = found[0]
        assert (first.dataset, first.alias, first.version, first.family) == ("employees", "champion", "1", "knn")
        assert (first.code, first.label, first.probabilities) == (1, EMPLOYEES.target.classes[1], (0.125, 0.875, 0.125))
        assert (first.source, first.role, first.enqueued_at) == ("rest", "answer", None)
        assert before - timedelta(seconds=0.01) <= first.scored_at <= datetime.now(UTC)
    assert recorder.counts().scored == {("employees", "champion", "1", "rest"): 201}
    assert (stored(recorder), not_stored(recorder), is_idle(recorder)) == (201, {}, True)


def test_a_store_that_was_never_migrated_is(fresh_database: str) -> None:
    with Recorder(settings(fresh_database), CONTRACTS, Loaded()) as recorder:
        request_id = answer(recorder, 2)

    with PredictionStore(fresh_database) as store:
        assert len(store.of_message(request_id)) == 2


def test_the_parts_of_an_answer_are_stored_under_one_id_at_their_places(url: str, store: PredictionStore) -> None:
    with Recorder(settings(url), CONTRACTS, Loaded()) as recorder:
        for start, places in ((0, [0, 2, 3]), (3, [5, 9])):
            columns, scores = scored(CHAMPION, len(places), start)
            recorder.record(CHAMPION, columns, scores, "file.1", "file", np.array(places))

    found = store.of_message("file.1")
    assert [given.row for given in found] == [0, 2, 3, 5, 9]
    assert [given.record for given in found] == RECORDS[:5]


def test_two_answers_to_callers_that_gave_the_same_id_are_both_found(url: str, store: PredictionStore) -> None:
    with Recorder(settings(url), CONTRACTS, Loaded()) as recorder:
        ids = [answer(recorder, 3, unique_id("mine"), start) for start in (0, 10)]

    assert [[given.record for given in store.of_message(request_id)] for request_id in ids] == [RECORDS[:3], RECORDS[10:13]]


def test_an_id_that_is_not_unique_costs_the_second_answer_and_that_is_counted(url: str, store: PredictionStore) -> None:
    with Recorder(settings(url), CONTRACTS, Loaded()) as recorder:
        answer(recorder, 3, "same")
        wait_until(lambda: is_idle(recorder))
        answer(recorder, 4, "same")

    assert (stored(recorder), not_stored(recorder)) == (4, {"duplicate": 3})
    assert len(store.of_message("same")) == 4


def test_while_the_store_is_away_answers_wait_and_what_finds_no_room_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hearth.serving.recording")
    with (
        temporary_servers.postgres_server() as server,
        Recorder(settings(server.url, record_queue_records=100), CONTRACTS, Loaded()) as recorder,
    ):
        answer(recorder, 10)
        wait_until(lambda: stored(recorder) == 10)
        server.stop(signal.SIGINT)
        for _ in range(5):
            answer(recorder, 10)
        wait_until(lambda: recorder.counts().storing.problem != "")
        for _ in range(20):
            answer(recorder, 10)
        assert not_stored(recorder) == {"store_away": 150}
        server.start()
        wait_until(lambda: is_idle(recorder))

        assert (stored(recorder), not_stored(recorder)) == (110, {"store_away": 150})
        assert sum(recorder.counts().scored.values()) == 260
        with PredictionStore(server.url) as store:
            assert len(store.recent(1_000)) == 110
    said = [line.getMessage() for line in caplog.records if line.name == "hearth.serving.recording.store_queue"]
    assert [line.partition(":")[0] for line in said if "wait to be stored" in line] == [
        "predictions wait to be stored, 100 records at most"
    ]
    assert sum("are stored again" in line for line in said) == 1
    assert sum("100 records wait already" in line for line in said) == 1


def test_a_store_that_hangs_does_not_slow_the_answers_and_nothing_is_lost(url: str) -> None:
    with Recorder(settings(url, record_queue_records=5_000), CONTRACTS, Loaded()) as recorder:
        answer(recorder, 1)
        wait_until(lambda: stored(recorder) == 1)
        with psycopg.connect(url) as blocking:
            blocking.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
            columns, scores = scored(CHAMPION, 1)
            for number in range(8_000):  # all of it while the lock is held
                recorder.record(CHAMPION, columns, scores, f"hangs.{number}", "rest")
            lost = not_stored(recorder)["queue_full"]
            assert lost == 8_000 + stored(recorder) - 1 - recorder.counts().storing.waiting
        wait_until(lambda: is_idle(recorder))

        assert stored(recorder) + lost == 8_001
        assert stored(recorder) >= 5_000


def test_no_more_is_stored_in_a_second_than_may_be_until_the_end(url: str) -> None:
    with Recorder(settings(url, record_most_per_second=100), CONTRACTS, Loaded()) as recorder:
        answer(recorder, 1)
        wait_until(lambda: stored(recorder) == 1)
        for _ in range(200):
            answer(recorder, 50)
        wait_until(lambda: stored(recorder) > 1)
        at_once = stored(recorder)

        assert recorder.counts().storing.waiting + at_once == 10_001
        assert at_once < 3_000
    assert stored(recorder) == 10_001  # in less than the 100 seconds that it would have taken


def test_a_process_that_ends_while_the_store_hangs_does_so_in_its_time_and_counts_what_is_left(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(settings(url, record_drain_seconds=0.5), CONTRACTS, Loaded())
    with psycopg.connect(url) as blocking:
        with recorder:
            answer(recorder, 1)
            wait_until(lambda: stored(recorder) == 1)
            blocking.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
            answer(recorder, 30)
            started = time.monotonic()

        assert time.monotonic() - started < LIMIT_SECONDS  # the store hangs for ever
        assert (stored(recorder), not_stored(recorder)) == (1, {"shutdown": 30})
    assert "30 predictions were not stored before the end" in caplog.text


def test_an_answer_that_the_store_refuses_costs_none_beside_it(url: str, store: PredictionStore, caplog: pytest.LogCaptureFixture) -> None:
    with Recorder(settings(url), CONTRACTS, Loaded()) as recorder:
        good = [answer(recorder, 2) for _ in range(5)]
        answer(recorder, 3, "nul \x00 in it")
        good += [answer(recorder, 2) for _ in range(5)]

    assert (stored(recorder), not_stored(recorder)) == (20, {"refused": 3})
    assert all(len(store.of_message(request_id)) == 2 for request_id in good)
    assert "cannot be stored" in caplog.text


def test_a_writing_process_that_is_killed_is_replaced_and_nothing_is_lost(url: str) -> None:
    with Recorder(settings(url), CONTRACTS, Loaded()) as recorder:
        answer(recorder, 5)
        wait_until(lambda: stored(recorder) == 5)
        for _ in range(2):
            os.kill(writer_pid(), signal.SIGKILL)
            answer(recorder, 5)
            wait_until(lambda: is_idle(recorder))

        assert (stored(recorder), not_stored(recorder)) == (15, {})


def test_signals_to_the_whole_group_leave_the_writing_process_its_work(url: str) -> None:
    with Recorder(settings(url), CONTRACTS, Loaded()) as recorder:
        answer(recorder, 5)
        wait_until(lambda: stored(recorder) == 5)
        pid = writer_pid()
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        answer(recorder, 5)
        wait_until(lambda: stored(recorder) == 10)

        assert writer_pid() == pid
    assert not psutil.pid_exists(pid)


def test_the_writing_process_of_a_service_that_was_killed_ends_too(url: str) -> None:
    program = (
        "import sys, time; from tests.support.recording import *; from tests.support.waiting import wait_until\n"
        "from hearth.serving.recording.recorder import Recorder\n"
        "model = loaded('champion', '1', Always(1))\n"
        "with Recorder(settings(sys.argv[1]), CONTRACTS, Loaded()) as recorder:\n"
        "    recorder.record(model, *scored(model, 2), 'a.1', 'rest')\n"
        "    wait_until(lambda: recorder.counts().storing.waiting == 0)\n"
        "    print(recorder._store_queue._writer.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, url]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as service:
        assert service.stdout
        pid = int(service.stdout.readline())
        service.kill()

    wait_until(lambda: not psutil.pid_exists(pid))


@pytest.mark.parametrize("rows", [1, 100])
def test_a_sample_is_stored_and_the_rest_is_counted(url: str, store: PredictionStore, rows: int) -> None:
    with Recorder(settings(url, record_predictions="sample", record_sample_share=0.25), CONTRACTS, Loaded()) as recorder:
        ids = [answer(recorder, rows) for _ in range(1_000 // rows)]

    count = stored(recorder)
    assert 150 < count < 350
    assert not_stored(recorder) == {"not_sampled": 1_000 - count}
    found = [given for request_id in ids for given in store.of_message(request_id)]
    assert len(found) == count
    assert all(given.record == RECORDS[given.row] for given in found)


def test_nothing_is_stored_where_nothing_shall_be() -> None:
    with Recorder(settings("postgresql://127.0.0.1:9/none", record_predictions="none"), CONTRACTS, Loaded()) as recorder:
        answer(recorder, 7)

    assert (stored(recorder), not_stored(recorder)) == (0, {"off": 7})
    assert not [child for child in psutil.Process().children() if "hearth.serving.recording.writer" in child.cmdline()]


class TestChallenger:
    def test_what_it_would_have_answered_stands_beside_the_answer(
        self, url: str, store: PredictionStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        challenger = loaded("challenger", "2", Always(2))
        with Recorder(settings(url, challenger_share=1), CONTRACTS, Loaded(CHAMPION, challenger)) as recorder:
            request_id = answer(recorder, 3)
            wait_until(lambda: bool(recorder.challenge_report("employees")))
            wait_until(lambda: stored(recorder) == 6)

        assert [(given.row, given.role, given.alias, given.version, given.code) for given in store.of_message(request_id)] == [
            (row, role, alias, version, code)
            for row in range(3)
            for role, alias, version, code in (("answer", "champion", "1", 1), ("challenger", "challenger", "2", 2))
        ]
        live = recorder.challenge_report("employees")
        assert stored_challenges(store, EMPLOYEES) == [live]
        assert stored_challenges(store, EMPLOYEES, datetime.now(UTC)) == []

        monkeypatch.setenv("HEARTH_PREDICTIONS_URL", url)
        monkeypatch.setattr(sys, "argv", ["agreement"])
        assert agreement_main() == 0
        assert "champion 1, challenger 2: 0 of 3 the same (0.0%)" in capsys.readouterr().out

    def test_only_what_is_stored_of_the_answers_is_stored_of_the_challenger(self, url: str, store: PredictionStore) -> None:
        models = Loaded(CHAMPION, loaded("challenger", "2", Always(1)))
        given = settings(url, challenger_share=1, record_predictions="sample", record_sample_share=0.3)
        with Recorder(given, CONTRACTS, models) as recorder:
            for _ in range(4):
                answer(recorder, 100)
            wait_until(lambda: getattr(recorder.challenge_report("employees"), "compared", 0) == 400)

        [report] = stored_challenges(store, EMPLOYEES)
        assert report.compared * 2 == stored(recorder)
        assert 60 < report.compared < 180
