"""Looks up messages of the stream that are not settled yet."""

import re
from enum import Enum

from hearth.streaming.client import StreamClient, id_parts

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_PAST_LARGEST = 2**64


class PendingState(Enum):
    """The state of a message that is not settled."""

    QUEUED = "queued"  # no worker has read it
    BEING_SCORED = "being_scored"  # a worker has read it and not acknowledged it


class PendingMessages(StreamClient):
    """The messages of a stream that are not settled yet."""

    def find(self, message_id: str) -> PendingState | None:
        """Return the state of a message; None if it is not in the stream, or every group has acknowledged it.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        if not is_message_id(message_id):
            return None
        with self._translate_errors():
            if not self._redis.xrange(self._name, min=message_id, max=message_id):
                return None
            groups = [(group["name"], id_parts(group["last-delivered-id"])) for group in self._redis.xinfo_groups(self._name)]
            position = id_parts(message_id)
            if not groups or any(position > delivered for _, delivered in groups):
                return PendingState.QUEUED
            pending = any(self._redis.xpending_range(self._name, name, message_id, message_id, 1) for name, _ in groups)
            return PendingState.BEING_SCORED if pending else None


def is_message_id(text: str) -> bool:
    """Whether the text is a valid message id, which the server requires."""
    return _ID.fullmatch(text) is not None and max(id_parts(text)) < _PAST_LARGEST
