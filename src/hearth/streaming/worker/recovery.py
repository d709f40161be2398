from collections.abc import Callable, Sequence
from functools import partial

from hearth.errors import InvalidMessage
from hearth.settings import WorkerSettings
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter, PendingEntry, StreamConsumer
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker import scoring

_START = "0-0"


class Recovery:
    """Processes messages that were delivered before, to this worker or another, and not acknowledged.

    Most of those workers were stopped or killed for unrelated reasons, but one of the messages may be the reason. So the messages are
    tried together once more, then one by one, so that a message that crashes workers affects no other. A message that was delivered too
    often becomes a dead letter.
    """

    def __init__(
        self,
        stream: StreamConsumer,
        retrier: Retrier,
        settings: WorkerSettings,
        process: Callable[[Sequence[Entry], Sequence[DeadLetter]], None],
        on_redelivery: Callable[[int], None],
    ) -> None:
        """`process` scores messages, writes letters, and returns when all messages are settled or wait for a model.

        `on_redelivery` receives the number of messages that were delivered again.
        """
        self._stream, self._retrier, self._process, self._on_redelivery = stream, retrier, process, on_redelivery
        self._idle_milliseconds, self._max_deliveries = settings.stream_claim_idle_milliseconds, settings.stream_max_deliveries
        self._batch_messages = settings.stream_batch_messages

    def process_own(self) -> None:
        """Process the pending messages of an earlier process with this consumer's name."""
        last = _START
        while not self._retrier.stopping:
            pending = self._retrier.call(partial(self._stream.own_pending, last, self._batch_messages))
            if not pending:
                return
            last = pending[-1].id
            self._try_again(pending, 0)

    def process_idle(self) -> None:
        """Claim and process messages that any consumer has held for too long."""
        idle = self._idle_milliseconds
        while not self._retrier.stopping:
            pending = self._retrier.call(partial(self._stream.idle_pending, idle, self._batch_messages))
            if not pending:
                return
            self._try_again(pending, idle)

    def _try_again(self, pending: Sequence[PendingEntry], idle_milliseconds: int) -> None:
        together = [message for message in pending if self._is_unsuspicious(message)]
        batches = self._retrier.call(partial(self._stream.batches, together))
        for group in [*batches, *([message] for message in pending if not self._is_unsuspicious(message))]:
            if self._retrier.stopping:
                return
            entries = self._retrier.call(partial(self._stream.claim, group, idle_milliseconds))
            self._on_redelivery(len(entries))
            if entries and group[0].deliveries >= self._max_deliveries:
                self._process([], [_too_many_deliveries(entries[0], group[0].deliveries)])
            elif entries:
                self._process(entries, [])

    def _is_unsuspicious(self, message: PendingEntry) -> bool:
        return message.deliveries <= 1 and message.deliveries + 1 < self._max_deliveries


def _too_many_deliveries(entry: Entry, deliveries: int) -> DeadLetter:
    return scoring.letter(entry, InvalidMessage(f"it was delivered {deliveries} times and never settled: it may end its worker"))
