"""One run: messages are sent, faults happen, and at the end everything is counted."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.chaos.plan import Blow, Victim, bursts
from benchmarks.chaos.sender import NumberedSender, Sending
from benchmarks.chaos.verdict import KEEP_MESSAGES, Count, backlog, dead_letters, judge, stored_rows
from benchmarks.chaos.workers import WORKER, SupervisedWorkers
from deploy.embedded.temporary_servers import Server
from hearth.streaming.producer.fake_messages import FakeMessage

STREAM, GROUP = "mlops_stream", "workers"
# Short enough that messages are claimed from live workers while a server is away: both then do the same work.
_CLAIM_IDLE_MILLISECONDS = 2_000
_LOOK_SECONDS = 0.002
_READY_SECONDS = 120.0
_BEGIN_SECONDS = 2.0
_DRAIN_SECONDS = 300.0
_MOST_OWN_ENDS = 5


class ChaosError(Exception):
    """The run did not come to its end."""


@dataclass(frozen=True)
class Servers:
    """The servers of the workers. `database` is a URL in the PostgreSQL server."""

    valkey: Server
    postgres: Server
    database: str


@dataclass(frozen=True)
class Report:
    """The result of a run."""

    counts: tuple[Count, ...]
    kills: int
    own_ends: int
    """Workers that ended without being killed: each is a fault."""
    kills_at_work: int
    """Killed workers that had messages in hand."""
    starts: int
    sending: Sending
    exit_codes: tuple[int, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        return all(count.holds for count in self.counts) and not any(self.exit_codes) and not self.own_ends


class Run:
    """Numbered messages for supervised workers, and blows for them and for the servers."""

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        messages: Sequence[FakeMessage],
        servers: Servers,
        logs: Path,
        *,
        workers: int,
        environment: dict[str, str],
        command: Sequence[str] = WORKER,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._messages, self._servers, self._say = messages, servers, say
        self._redis: Any = Redis.from_url(servers.valkey.url)
        epoch = int(time.time() * 1000)
        self._sender = NumberedSender(servers.valkey.url, STREAM, [message.fields for message in messages], epoch)
        settings = {
            "HEARTH_REDIS_URL": servers.valkey.url,
            "HEARTH_PREDICTIONS_URL": servers.database,
            "HEARTH_STREAM_NAME": STREAM,
            "HEARTH_STREAM_GROUP": GROUP,
            "HEARTH_STREAM_KEEP_MESSAGES": str(KEEP_MESSAGES),
            "HEARTH_STREAM_CLAIM_IDLE_MILLISECONDS": str(_CLAIM_IDLE_MILLISECONDS),
            "HEARTH_WORKER_METRICS_PORT": "0",  # workers of one machine cannot share one
        }
        self._workers = SupervisedWorkers(workers, {**environment, **settings}, logs, command)
        self._restarting: threading.Thread | None = None
        self._failed: list[BaseException] = []
        self._kills = self._kills_at_work = 0

    def to_its_end(self, blows: Sequence[Blow]) -> Report:
        """Send all messages, strike every blow, wait until all is settled, stop the workers, and count.

        Raises:
            ChaosError: a worker or a server does not come back, or not everything is settled in time.
        """
        start = time.monotonic()
        try:
            for end, blow in bursts(len(self._messages), blows):
                if blow and blow.victim is Victim.WORKER and not self._is_restarting:  # else messages are sent while the server goes down
                    self._wait_for_worker(blow.number)
                self._sender.send_up_to(end)
                if blow:
                    self._strike(blow, end)
            self._end_restart()
            self._sender.confirm()
            self._wait(self._is_settled, _DRAIN_SECONDS, "not everything was settled")
            for number in range(len(self._workers.names)):  # a worker that is still starting does not handle SIGTERM yet
                self._wait_for_worker(number)
        finally:
            if self._restarting:
                self._restarting.join()
            codes = self._workers.stop()
            self._sender.close()
            self._redis.close()
        counts = self._count()
        return Report(
            counts=tuple(counts),
            kills=self._kills,
            kills_at_work=self._kills_at_work,
            starts=self._workers.starts,
            own_ends=self._workers.own_ends,
            sending=self._sender.sending,
            exit_codes=tuple(codes),
            seconds=time.monotonic() - start,
        )

    def _count(self) -> list[Count]:
        by_id = {self._sender.id_of(number): message for number, message in enumerate(self._messages)}
        url = self._servers.valkey.url
        return judge(by_id, stored_rows(self._servers.database), dead_letters(url, STREAM), backlog(url, STREAM, GROUP))

    def _strike(self, blow: Blow, position: int) -> None:
        if blow.victim is Victim.WORKER:
            self._wait_for_worker(blow.number)
        deadline = time.monotonic() + _BEGIN_SECONDS
        while not self._in_hand(blow) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        if blow.victim is not Victim.WORKER:
            self._end_restart()  # of the server of the last blow
            self._say(f"after {position} messages: {blow}")
            self._restarting = threading.Thread(target=self._restart, args=(blow,), name="restart")
            self._restarting.start()  # the next messages are sent while it goes down
            return
        time.sleep(blow.delay_seconds)
        in_hand = self._in_hand(blow)
        self._workers.kill(blow.number)
        self._kills += 1
        self._kills_at_work += in_hand > 0
        self._say(f"after {position} messages: {blow}, with {in_hand} messages in hand")

    @property
    def _is_restarting(self) -> bool:
        return self._restarting is not None and self._restarting.is_alive()

    def _restart(self, blow: Blow) -> None:
        server = self._servers.valkey if blow.victim is Victim.VALKEY else self._servers.postgres
        try:
            time.sleep(blow.delay_seconds)
            server.stop(blow.by)
            time.sleep(blow.away_seconds)
            server.start()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            self._failed.append(error)

    def _end_restart(self) -> None:
        if self._restarting:
            self._restarting.join()
        if self._failed:
            raise ChaosError("a server did not come back") from self._failed[0]

    def _consumers(self) -> list[dict[str, Any]]:
        try:
            return list(self._redis.xinfo_consumers(STREAM, GROUP))
        except RedisError:  # the server is away, or there is no group yet
            return []

    def _of(self, number: int) -> list[dict[str, Any]]:
        """Return the consumers of a worker; their names begin with its name."""
        return [consumer for consumer in self._consumers() if consumer["name"].decode().startswith(self._workers.names[number])]

    def _in_hand(self, blow: Blow) -> int:
        """Return how many messages the victim has in hand; for a server, how many all workers have."""
        consumers = self._of(blow.number) if blow.victim is Victim.WORKER else self._consumers()
        return sum(int(consumer["pending"]) for consumer in consumers)

    def _wait_for_worker(self, number: int) -> None:
        self._wait(partial(self._is_ready, number), _READY_SECONDS, f"{self._workers.names[number]} was not ready")

    def _is_ready(self, number: int) -> bool:
        """Tell whether a worker has read from the stream since it was started."""
        age = self._workers.age_seconds(number)
        return any(int(consumer["idle"]) / 1000 < age for consumer in self._of(number))

    def _is_settled(self) -> bool:
        try:
            return backlog(self._servers.valkey.url, STREAM, GROUP).is_empty
        except (RedisError, ValueError):
            return False

    def _wait(self, reached: Callable[[], bool], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline or self._workers.own_ends > _MOST_OWN_ENDS:
                raise ChaosError(f"{otherwise} in {seconds:.0f} seconds; {self._workers.own_ends} workers ended by themselves")
            time.sleep(_LOOK_SECONDS * 10)
