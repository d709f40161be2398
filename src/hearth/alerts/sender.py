"""Sends what the outbox holds, in a thread for each channel: a receiver that is away or slow holds up nobody else."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol, Self

from hearth.alerts.alert import Severity
from hearth.alerts.message import Message
from hearth.alerts.outbox import GIVE_UP, Outbox
from hearth.logs import about
from hearth.periodic import PeriodicThread

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 2.0
_LEASE_SECONDS = 60.0
_JOIN_SECONDS = 2.0
_OUTCOMES = "sent", "failed", "given_up"
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 5.0, 300.0


class DeliveryFailed(Exception):
    """A receiver has not taken a message; `retry_seconds` is when it wants it again, 0 if it does not say."""

    def __init__(self, reason: str, retry_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_seconds = retry_seconds


class Channel(Protocol):
    """A way to people. `place` is for logs and shows no secret."""

    name: str
    place: str

    def send(self, message: Message) -> None: ...


class AlertSender:
    """Threads that send while the context is open. Any number of processes may run one: a message is claimed by one of them at a time."""

    def __init__(  # noqa: PLR0913 - times that tests shorten
        self,
        outbox: Outbox,
        channels: Sequence[Channel],
        *,
        lowest: Severity = Severity.INFO,
        link: str = "",
        poll_seconds: float = _POLL_SECONDS,
        lease_seconds: float = _LEASE_SECONDS,
        give_up: timedelta = GIVE_UP,
    ) -> None:
        self._outbox, self._lowest, self._link = outbox, lowest, link
        self._lease, self._give_up = timedelta(seconds=lease_seconds), give_up
        self._stop = threading.Event()
        self._threads = [
            PeriodicThread(
                partial(self._work, channel),
                f"alerts to {channel.name}",
                poll_seconds,
                trouble=f"alerts cannot be sent by {channel.name}",
                join_seconds=_JOIN_SECONDS,
                stopping=self._stop,
            )
            for channel in channels
        ]
        # All from the start: Prometheus sees no increase in a series that begins with its first event
        self.outcomes: Counter[tuple[str, str]] = Counter({(channel.name, outcome): 0 for channel in channels for outcome in _OUTCOMES})
        """By channel and outcome (sent, failed, given_up), what this process has done."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop. A message that is on its way is claimed: if its answer is not awaited here, it is sent again by the next process."""
        self._stop.set()
        for thread in self._threads:
            thread.close()

    def _work(self, channel: Channel) -> None:
        """Send what is due, until nothing is or the receiver takes nothing."""
        self._outbox.enqueue(channel.name, self._lowest, self._give_up)
        for lost in self._outbox.give_up(channel.name, self._give_up):
            self.outcomes[channel.name, "given_up"] += 1
            _LOGGER.error(
                "alert %d (%s of %s): '%s' is given up after %d attempts to send it by %s to %s; the last error: %s",
                lost.alert_id,
                lost.kind,
                lost.dataset or "the stack",
                lost.event,
                lost.attempts,
                channel.name,
                channel.place,
                lost.error or "none",
                extra=about(lost.dataset),
            )
        while not self._stop.is_set() and (claim := self._outbox.claim(channel.name, self._lease, self._link)):
            try:
                channel.send(claim.message)
            except DeliveryFailed as error:
                self.outcomes[channel.name, "failed"] += 1
                seconds = max(backoff_seconds(claim.attempts), error.retry_seconds)
                _LOGGER.warning(
                    "alert %d: attempt %d by %s failed, the next is in %.0f s: %s",
                    claim.message.alert.id,
                    claim.attempts,
                    channel.name,
                    seconds,
                    error,
                    extra=about(claim.message.alert.dataset),
                )
                self._outbox.mark_failed(claim, str(error), timedelta(seconds=seconds))
                return
            self._outbox.mark_sent(claim)
            self.outcomes[channel.name, "sent"] += 1


def backoff_seconds(attempts: int) -> float:
    """Return how long to wait after so many failed attempts: 5 s, doubling to 5 minutes."""
    return min(_FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, 10), _LAST_RETRY_SECONDS)
