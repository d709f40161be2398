"""How far a message of the stream has come before it is settled."""

import re
from enum import Enum

from hearth.streaming.client import StreamClient, id_parts

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_PAST_LARGEST = 2**64


class PendingState(Enum):
    """What a message waits for."""

    QUEUED = "queued"  # no worker has it
    BEING_SCORED = "being_scored"  # a worker has it, or had it and has ended


class PendingMessages(StreamClient):
    """The messages of a stream that are not settled yet."""

    def find(self, message_id: str) -> PendingState | None:
        """Tell what a message waits for; None if it is not in the stream, or every group has settled it.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        if not is_message_id(message_id):
            return None
        with self._answering():
            if not self._redis.xrange(self._name, min=message_id, max=message_id):
                return None
            groups = [(group["name"], id_parts(group["last-delivered-id"])) for group in self._redis.xinfo_groups(self._name)]
            place = id_parts(message_id.encode())
            if not groups or any(place > delivered for _, delivered in groups):
                return PendingState.QUEUED
            pending = any(self._redis.xpending_range(self._name, name, message_id, message_id, 1) for name, _ in groups)
            return PendingState.BEING_SCORED if pending else None


def is_message_id(text: str) -> bool:
    """Whether a message of a stream can have this id; the server answers others with an error."""
    return _ID.fullmatch(text) is not None and max(id_parts(text.encode())) < _PAST_LARGEST
