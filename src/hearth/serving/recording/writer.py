"""The process that turns answers into rows and stores them: `python -m hearth.serving.recording.writer <descriptor>`.

Started by the recorder, never by hand. It does what it is sent, says how that went, and ends when the recorder's end of the connection is
closed, however that came about.
"""

import logging
import os
import signal
import sys
from multiprocessing.connection import Connection

import psycopg

from hearth.errors import PredictionsUnavailable
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.serving.recording.messages import Away, Batch, Outcome, Refused, Stored, blocks

_NICENESS = 10


class Writer:
    """Stores what it is given; the table is made when it is first needed."""

    def __init__(self, url: str, store: PredictionStore) -> None:
        self._url, self._store = url, store
        self._migrated = False

    def put(self, batch: Batch) -> Outcome:
        """Store all of it, or nothing."""
        try:
            if not self._migrated:
                migrate(self._url)
                self._migrated = True
            return Stored(self._store.put_lines([line for block in blocks(batch) for line in block.lines()]))
        except PredictionsUnavailable as error:
            return Away(str(error))
        except psycopg.Error as error:  # what the store has nothing of ours for: a value that it will not take
            return Refused(" ".join(str(error).split()) or type(error).__name__)


def main() -> int:
    """Store until the other end closes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the recorder first hands over what it holds
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)  # requests first
    for name in ("alembic", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the recorder says once what they say at every try
    with Connection(int(sys.argv[1])) as recorder:
        try:
            url: str = recorder.recv()
            with PredictionStore(url, max_connections=1) as store:
                writer = Writer(url, store)
                while True:
                    recorder.send(writer.put(recorder.recv()))
        except (EOFError, ConnectionError):
            return 0


if __name__ == "__main__":
    sys.exit(main())
