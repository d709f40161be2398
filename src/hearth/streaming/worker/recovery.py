from collections.abc import Callable, Sequence
from functools import partial

from hearth.errors import InvalidMessage
from hearth.settings import WorkerSettings
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter, StreamConsumer, Unsettled
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker import scoring

_START = "0-0"


class Recovery:
    """Sees to messages that were handed to a worker, perhaps to this one in an earlier life, which then did not settle them.

    Most of their workers were stopped or killed for reasons of their own, but one of the messages may be why. So they are tried together
    once more; after that each alone, so that one that ends workers takes no other with it; and one that was delivered too often is dead.
    """

    def __init__(
        self,
        stream: StreamConsumer,
        retrier: Retrier,
        settings: WorkerSettings,
        settle: Callable[[Sequence[Entry], Sequence[DeadLetter]], None],
        came_again: Callable[[int], None],
    ) -> None:
        """`settle` scores messages, buries those that have a letter, and returns when all of them are settled or wait for a model.

        `came_again` counts them.
        """
        self._stream, self._retrier, self._settle, self._came_again = stream, retrier, settle, came_again
        self._idle_milliseconds, self._max_deliveries = settings.stream_claim_idle_milliseconds, settings.stream_max_deliveries
        self._at_once = settings.stream_batch_messages

    def own(self) -> None:
        """Finish what an earlier life of this consumer left."""
        last = _START
        while not self._retrier.ended:
            found = self._retrier.call(partial(self._stream.unsettled_own, last, self._at_once))
            if not found:
                return
            last = found[-1].id
            self._try_again(found, 0)

    def others(self) -> None:
        """Take over what a consumer has held too long."""
        while not self._retrier.ended:
            idle = self._idle_milliseconds
            found = self._retrier.call(partial(self._stream.unsettled_idle, idle, self._at_once))
            if not found:
                return
            self._try_again(found, idle)

    def _try_again(self, found: Sequence[Unsettled], idle_milliseconds: int) -> None:
        groups = [[one for one in found if self._is_innocent(one)], *([one] for one in found if not self._is_innocent(one))]
        for group in groups:
            if self._retrier.ended:
                return
            entries = self._retrier.call(partial(self._stream.take, group, idle_milliseconds)) if group else []
            self._came_again(len(entries))
            if entries and group[0].deliveries >= self._max_deliveries:
                self._settle([], [_too_often(entries[0], group[0].deliveries)])
            elif entries:
                self._settle(entries, [])

    def _is_innocent(self, one: Unsettled) -> bool:
        return one.deliveries <= 1 and one.deliveries + 1 < self._max_deliveries


def _too_often(entry: Entry, deliveries: int) -> DeadLetter:
    return scoring.letter(entry, InvalidMessage(f"it was delivered {deliveries} times and never settled: it may end its worker"))
