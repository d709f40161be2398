"""What became of a message: it waits, its records are scored, or they are dead; some of them can be this and others that."""

from dataclasses import dataclass

from hearth.errors import StreamUnavailable, UnknownMessage
from hearth.predictions import Prediction, PredictionStore
from hearth.streaming.dead_letters import DeadLetters, StoredLetter
from hearth.streaming.pending import PendingMessages, PendingState


@dataclass(frozen=True)
class MessageStatus:
    """What is known of one message. `problem` says which part of it nobody could be asked about; it is empty if all were."""

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
    """Asks those who can know. Threads may share one."""

    def __init__(self, room: PendingMessages, letters: DeadLetters, store: PredictionStore) -> None:
        self._room, self._letters, self._store = room, letters, store

    def of(self, message_id: str) -> MessageStatus:
        """Tell what became of a message, or of a request whose predictions were stored under its id.

        Raises:
            UnknownMessage: nobody knows it.
            PredictionsUnavailable: the store does not answer.
            StreamUnavailable: the stream does not answer, and the store has nothing.
        """
        if "\0" in message_id:  # PostgreSQL has no such texts
            raise UnknownMessage(message_id)
        waiting, letter, away = None, None, None
        # In the order that a message takes: predictions are stored and letters written before it leaves the stream, so none slips past.
        try:
            waiting = self._room.find(message_id)
            letter = self._letters.find(message_id)
        except StreamUnavailable as error:
            away = error
        predictions = tuple(self._store.of_message(message_id))
        if not (waiting or letter or predictions):
            raise away or UnknownMessage(message_id)
        problem = f"{away} Whether records of the message wait or are dead is not known." if away else ""
        return MessageStatus(message_id, waiting, letter, predictions, problem)
