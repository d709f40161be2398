"""The short form of `make chaos`: workers with a small model are killed while Valkey and PostgreSQL come and go; and what judges it."""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.chaos.plan import Victim, bursts, draw_blows
from benchmarks.chaos.run import Run, Servers
from benchmarks.chaos.sender import NumberedSender
from benchmarks.chaos.verdict import Backlog, Key, judge
from deploy.embedded import temporary_servers
from hearth.contracts.aliases import CHAMPION
from hearth.fakes import FakeRecords
from hearth.predictions.migration import migrate
from hearth.streaming.dead_letters import StoredLetter
from hearth.streaming.producer.fake_messages import FakeMessage, Source, fake_messages
from tests.support.models import DATA, employees
from tests.support.worker_process import SECONDS_A_BATCH

SETTINGS = {
    "HEARTH_ENVIRONMENT": "laptop",
    "HEARTH_DATA_DIR": str(DATA),
    "HEARTH_MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    SECONDS_A_BATCH: "0.02",
}
EMPTY = Backlog(0, 0, 0)
UNHURRIED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def messages(records: int, seed: int = 1) -> list[FakeMessage]:
    contract = employees()
    source = Source(contract, FakeRecords.load(contract, DATA), (CHAMPION,))
    return list(fake_messages([source], seed, sizes=(1, 1, 10), records=records, bad_share=0.02))


def test_nothing_is_lost_and_nothing_is_doubled_whatever_falls(tmp_path: Path) -> None:
    sent = messages(6_000)
    with temporary_servers.valkey_server() as valkey, temporary_servers.postgres_server() as postgres:
        database = temporary_servers.create_database(postgres.url, "predictions")
        migrate(database)
        said: list[str] = []
        command = (sys.executable, "-m", "tests.support.worker_process")
        run = Run(sent, Servers(valkey, postgres, database), tmp_path, workers=2, environment=SETTINGS, command=command, say=said.append)

        report = run.to_its_end(draw_blows(len(sent), workers=2, kills=3, restarts=1, seed=5))

    logs = {log.name: log.read_text("utf-8")[-3_000:] for log in tmp_path.iterdir()}
    assert report.holds, (report, said, logs)
    assert report.kills == 3
    assert report.kills_at_work > 0
    assert len(said) == 5


def test_a_plan_is_repeated_by_its_seed_and_has_all_that_was_asked_for() -> None:
    first, again, other = (draw_blows(1_000, workers=2, kills=20, restarts=3, seed=seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert Counter(blow.victim for blow in first) == {Victim.WORKER: 20, Victim.VALKEY: 3, Victim.POSTGRES: 3}
    assert {blow.number for blow in first} == {0, 1}
    assert signal.SIGKILL in {blow.by for blow in first if blow.victim is Victim.POSTGRES}
    ends = [end for end, _ in bursts(1_000, first)]
    assert ends == sorted(ends)
    assert ends[-1] == 1_000


def test_a_sender_doubles_nothing_when_the_server_comes_and_goes() -> None:
    """It is killed in the midst of sending, ten times."""
    fields = [{b"number": str(number).encode()} for number in range(20_000)]
    with temporary_servers.valkey_server() as valkey:
        sender = NumberedSender(valkey.url, "stream", fields, epoch=1)
        for end in range(2_000, 22_000, 2_000):
            thread = threading.Thread(target=sender.send_up_to, args=(end,))
            thread.start()
            valkey.stop(signal.SIGKILL)
            valkey.start()
            thread.join(30)
        sender.confirm()
        redis = sender._redis
        found = [entry[b"number"] for _, entry in redis.xrange("stream")]
        sender.close()

    assert found == [entry[b"number"] for entry in fields]
    assert sender.sending.interruptions > 0


SENT = {
    "1-1": FakeMessage({}, 2, frozenset()),
    "1-2": FakeMessage({}, 3, frozenset({1})),
    "1-3": FakeMessage({}, 2, frozenset({0, 1}), readable=False),
}
ROWS: Mapping[Key, int] = {("1-1", 0): 1, ("1-1", 1): 1, ("1-2", 0): 1, ("1-2", 2): 1}


def letter(message_id: str, reason: str = "row 1, 'x': got 1, expected 2") -> StoredLetter:
    return StoredLetter("1-1", message_id, "invalid_records", reason, "", {})


LETTERS = [letter("1-2"), letter("1-3", "not JSON")]


def test_a_run_in_which_all_is_as_it_has_to_be_passes() -> None:
    assert [count.what for count in judge(SENT, Counter(ROWS), LETTERS, EMPTY) if not count.holds] == []


@pytest.mark.parametrize(
    ("rows", "letters", "backlog", "wrong"),
    [
        ({**ROWS, ("1-1", 1): 0}, LETTERS, EMPTY, ["good records with exactly one row", "rows in all"]),
        ({**ROWS, ("1-1", 1): 2}, LETTERS, EMPTY, ["good records with exactly one row", "rows in all"]),
        ({**ROWS, ("1-2", 1): 1}, LETTERS, EMPTY, ["rows in all"]),
        ({**ROWS, ("9-9", 0): 1}, LETTERS, EMPTY, ["rows in all"]),
        (
            ROWS,
            LETTERS[:1],
            EMPTY,
            ["bad messages with exactly one dead letter", "dead letters in all", "bad records that their letters name"],
        ),
        (
            ROWS,
            [*LETTERS, LETTERS[1]],
            EMPTY,
            ["bad messages with exactly one dead letter", "dead letters in all", "bad records that their letters name"],
        ),
        (ROWS, [*LETTERS, letter("1-1")], EMPTY, ["dead letters in all"]),
        (ROWS, [letter("1-2", "row 2, 'x'"), LETTERS[1]], EMPTY, ["bad records that their letters name"]),
        (ROWS, LETTERS, Backlog(1, 0, 0), ["messages read and not settled"]),
        (ROWS, LETTERS, Backlog(0, 1, 0), ["messages not read"]),
        (ROWS, LETTERS, Backlog(0, 0, 1), ["messages left in the stream, but for those that are to stay"]),
    ],
)
def test_whatever_is_lost_doubled_or_left_is_seen(
    rows: dict[Key, int], letters: list[StoredLetter], backlog: Backlog, wrong: list[str]
) -> None:
    assert [count.what for count in judge(SENT, Counter(rows), letters, backlog) if not count.holds] == wrong


@UNHURRIED
@given(st.integers(100, 10_000), st.integers(1, 20), st.integers(0, 3), st.integers())
def test_blows_fall_in_order_and_on_messages_that_there_are(count: int, kills: int, restarts: int, seed: int) -> None:
    blows = draw_blows(count, workers=3, kills=kills, restarts=restarts, seed=seed)

    assert [blow.after_message for blow in blows] == sorted({blow.after_message for blow in blows})
    assert all(0 < blow.after_message < count and 0 <= blow.number < 3 for blow in blows)
