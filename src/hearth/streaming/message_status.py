"""The status of a message: it waits, its records are scored, or they are dead letters. It can differ between records of one message."""

from dataclasses import dataclass

from hearth.errors import StreamUnavailable, UnknownMessage
from hearth.predictions import Prediction, PredictionStore
from hearth.streaming.dead_letters import DeadLetters, StoredLetter
from hearth.streaming.pending import PendingMessages, PendingState


@dataclass(frozen=True)
class MessageStatus:
    """The status of one message. `problem` names the server that did not answer, so that the rest may be incomplete; else it is empty."""

    message_id: str
    waiting: PendingState | None
    letter: StoredLetter | None
    predictions: tuple[Prediction, ...]
    problem: str

    @property
    def status(self) -> str:
        """One word: queued, being_scored, scored, partly_dead or dead."""
        if self.waiting:
            return self.waiting.value
        if self.letter:
            return "partly_dead" if self.predictions else "dead"
        return "scored"


class MessageStatuses:
    """Looks messages up in the stream, the dead letters and the predictions store. Thread-safe."""

    def __init__(self, pending: PendingMessages, letters: DeadLetters, store: PredictionStore) -> None:
        self._pending, self._letters, self._store = pending, letters, store

    def find(self, message_id: str) -> MessageStatus:
        """Return the status of a message, or of a request whose predictions were stored under its id.

        Raises:
            UnknownMessage: neither the stream nor the store has it.
            PredictionsUnavailable: the store does not answer.
            StreamUnavailable: the stream does not answer, and the store has nothing.
        """
        if "\0" in message_id:  # PostgreSQL stores no NUL
            raise UnknownMessage(message_id)
        waiting, letter, outage = None, None, None
        # In the order of processing: predictions and letters are written before a message leaves the stream, so none is missed.
        try:
            waiting = self._pending.find(message_id)
            letter = self._letters.find(message_id)
        except StreamUnavailable as error:
            outage = error
        predictions = tuple(self._store.of_message(message_id))
        if not (waiting or letter or predictions):
            raise outage or UnknownMessage(message_id)
        problem = f"{outage} Whether records of the message wait or are dead is not known." if outage else ""
        return MessageStatus(message_id, waiting, letter, predictions, problem)
