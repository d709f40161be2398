"""The process that stores predictions stands still or is killed while a batch is on its way to it."""

import os
import signal

import psutil
import pytest
from pydantic import SecretStr

from hearth.predictions import PredictionStore
from hearth.serving.recording import writer_process
from hearth.serving.recording.answer import Answer, build_batch, describe_features
from hearth.serving.recording.messages import AnswerBatch, Stored, Unavailable
from hearth.serving.recording.writer_process import WriterProcess
from tests.support.recording import CONTRACTS, Always, loaded, scored
from tests.support.waiting import wait_until

FEATURES = {name: describe_features(contract) for name, contract in CONTRACTS.items()}
ANSWERS = 40


def batch(count: int) -> AnswerBatch:
    model = loaded("champion", "1", Always())
    columns, scores = scored(model, 250)
    answers = [Answer(model, columns, scores, f"id-{number}", "rest", "answer", 1.0, None, None) for number in range(count)]
    return build_batch(answers, FEATURES)


def test_a_batch_that_it_does_not_take_because_it_stands_still_is_stored_by_the_next_one(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 rows are more than the connection holds, so that sending them waits until the process reads."""
    monkeypatch.setattr(writer_process, "_SEND_SECONDS", 1)  # of the first one
    writer = WriterProcess(SecretStr(fresh_database))
    try:
        assert writer.put(batch(1), lambda: False) == Stored(250)
        stopped = writer.pid
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)

        assert isinstance(writer.put(batch(ANSWERS), lambda: False), Unavailable)

        monkeypatch.undo()
        assert writer.put(batch(ANSWERS), lambda: False) == Stored(250 * (ANSWERS - 1))  # those of the first batch are there
        assert writer.pid != stopped
    finally:
        writer.close()
    with PredictionStore(fresh_database) as store:
        assert len(store.of_message(f"id-{ANSWERS - 1}")) == 250


def test_one_that_was_killed_while_it_had_nothing_to_do_is_replaced_at_once(fresh_database: str) -> None:
    writer = WriterProcess(SecretStr(fresh_database))
    try:
        assert writer.put(batch(1), lambda: False) == Stored(250)
        assert writer.pid is not None
        process = psutil.Process(writer.pid)
        process.kill()
        wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)

        assert writer.put(batch(2), lambda: False) == Stored(250)
    finally:
        writer.close()


def test_one_that_cannot_start_is_no_fault_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """After three ends with a batch in hand it is given up; a machine without memory must not cost predictions while there is room."""
    monkeypatch.setattr(writer_process, "_MODULE", "hearth.no_such_module")
    writer = WriterProcess(SecretStr("postgresql://nobody@127.0.0.1:9/nothing"))

    results = [writer.put(batch(1), lambda: False) for _ in range(2)]

    assert results == [Unavailable("The process that stores predictions ended with code 1.")] * 2
