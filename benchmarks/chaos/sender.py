"""A sender that puts numbered messages into a stream, each exactly once, whatever happens to the server.

The sender chooses the ids, and they rise with the numbers. So the last id of the stream says where to go on after an interruption: which
messages it has, answered or not, and which it has lost although it had answered.
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

_BATCH_MESSAGES = 20
_PAUSE_SECONDS = 0.05
_SOCKET_SECONDS = 5


@dataclass
class Sending:
    """The course of the sending."""

    interruptions: int = 0
    added_unanswered: int = 0
    """Messages that the server had although no answer came: sending them again would have doubled them."""
    answered_lost: int = 0
    """Messages that the server had answered and had lost when it came back; they were sent again."""


class NumberedSender:
    """The only sender of a stream; message n has the id `<epoch>-<n + 1>`."""

    def __init__(self, url: str, stream: str, messages: Sequence[Fields], epoch: int) -> None:
        self._redis: Any = Redis.from_url(  # its answers have the types of all servers
            url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_SOCKET_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._stream, self._messages, self._epoch = stream, messages, epoch
        self._next = 0
        self.sending = Sending()

    def close(self) -> None:
        self._redis.close()

    def id_of(self, number: int) -> str:
        """Return the id of a message."""
        return f"{self._epoch}-{number + 1}"

    def send_up_to(self, end: int) -> None:
        """Send until the stream has had all messages below this number."""
        while self._next < end:
            try:
                with self._redis.pipeline(transaction=False) as pipeline:
                    for number in range(self._next, min(self._next + _BATCH_MESSAGES, end)):
                        pipeline.xadd(self._stream, dict(self._messages[number]), id=self.id_of(number))
                    self._next += len(pipeline.execute())
            except RedisError:
                self._find_place()

    def _find_place(self) -> None:
        """Ask the stream where to go on, without a limit of time."""
        self.sending.interruptions += 1
        while True:
            try:
                length = self._added_messages()
                break
            except RedisError:
                time.sleep(_PAUSE_SECONDS)
        self.sending.added_unanswered += max(length - self._next, 0)
        self.sending.answered_lost += max(self._next - length, 0)
        self._next = length

    def confirm(self) -> None:
        """Send again the messages that the server has lost after it answered."""
        end = self._next
        if (length := self._added_messages()) < end:
            self.sending.answered_lost += end - length
            self._next = length
            self.send_up_to(end)

    def _added_messages(self) -> int:
        if not self._redis.exists(self._stream):
            return 0
        epoch, _, sequence = self._redis.xinfo_stream(self._stream)["last-generated-id"].decode().partition("-")
        return int(sequence) if int(epoch) == self._epoch else 0
