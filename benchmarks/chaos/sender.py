"""Puts numbered messages into a stream, each exactly once, whatever happens to the server.

The sender chooses the ids, and they rise with the numbers. So after every interruption the stream itself says where to go on: its last id
tells which messages it has, answered or not, and which it has lost again although it had answered.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from hearth.streaming.client import Fields

_AT_ONCE = 20
_PAUSE_SECONDS = 0.05
_SOCKET_SECONDS = 5


@dataclass
class Sent:
    """How sending went."""

    interruptions: int = 0
    added_unanswered: int = 0
    """Messages that the server had, although their answer never came: sending them again would have doubled them."""
    answered_lost: int = 0
    """Messages that the server had answered and did not have any more when it came back; they were sent again."""


class NumberedSender:
    """The only sender of a stream; message n has the id `<epoch>-<n + 1>`."""

    def __init__(self, url: str, stream: str, messages: Sequence[Fields], epoch: int) -> None:
        self._redis: Any = Redis.from_url(  # its answers are typed as all that any server may say
            url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_SOCKET_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._stream, self._messages, self._epoch = stream, messages, epoch
        self._next = 0
        self.sent = Sent()

    def close(self) -> None:
        self._redis.close()

    def id_of(self, number: int) -> str:
        """Return the id of a message."""
        return f"{self._epoch}-{number + 1}"

    def send_up_to(self, end: int) -> None:
        """Return when the stream has had all messages below this number."""
        while self._next < end:
            try:
                with self._redis.pipeline(transaction=False) as pipeline:
                    for number in range(self._next, min(self._next + _AT_ONCE, end)):
                        pipeline.xadd(self._stream, dict(self._messages[number]), id=self.id_of(number))
                    self._next += len(pipeline.execute())
            except RedisError:
                self._find_place()

    def _find_place(self) -> None:
        """Ask the stream where to go on, however long that takes."""
        self.sent.interruptions += 1
        while True:
            try:
                found = self._numbers_added()
                break
            except RedisError:
                time.sleep(_PAUSE_SECONDS)
        self.sent.added_unanswered += max(found - self._next, 0)
        self.sent.answered_lost += max(self._next - found, 0)
        self._next = found

    def confirm(self) -> None:
        """Send again what the server has lost since it was answered, if anything."""
        end = self._next
        if (found := self._numbers_added()) < end:
            self.sent.answered_lost += end - found
            self._next = found
            self.send_up_to(end)

    def _numbers_added(self) -> int:
        if not self._redis.exists(self._stream):
            return 0
        epoch, _, sequence = self._redis.xinfo_stream(self._stream)["last-generated-id"].decode().partition("-")
        return int(sequence) if int(epoch) == self._epoch else 0
