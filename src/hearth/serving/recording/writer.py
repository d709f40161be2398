"""The process that turns answers into rows and stores them: `python -m hearth.serving.recording.writer <descriptor>`.

The recorder starts it. It stores each batch that it receives, sends the result back, and exits when the recorder closes the connection
or ends.
"""

import logging
import os
import signal
import sys
from multiprocessing.connection import Connection

import psycopg

from hearth.errors import NewerSchema, PredictionsUnavailable
from hearth.logs import configure_logging
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.serving.recording.messages import READY, AnswerBatch, Refused, Stored, Unavailable, WriteResult, blocks

_NICENESS = 10


class Writer:
    """Stores batches; creates the table on first use."""

    def __init__(self, url: str, store: PredictionStore) -> None:
        self._url, self._store = url, store
        self._migrated = False

    def put(self, batch: AnswerBatch) -> WriteResult:
        """Store a batch in one transaction."""
        try:
            if not self._migrated:
                migrate(self._url)
                self._migrated = True
            return Stored(self._store.put_lines([line for block in blocks(batch) for line in block.lines()]))
        except (PredictionsUnavailable, NewerSchema) as error:
            return Unavailable(str(error))
        except psycopg.Error as error:  # an error of the data, such as a value that PostgreSQL rejects
            return Refused(_described(error))


def _described(error: psycopg.Error) -> str:
    """Return what kind of error it is and where. Its text would quote the row, and this goes to the log."""
    found = error.diag
    parts = [type(error).__name__, error.sqlstate, found.table_name, found.column_name, found.constraint_name]
    return " ".join(part for part in parts if part)


def main() -> int:
    """Store batches until the connection is closed; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole process group; the recorder still has to store its queue
        signal.signal(number, signal.SIG_IGN)
    configure_logging("recorder")
    os.nice(_NICENESS)  # requests have priority
    for name in ("alembic", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they log every retry; the recorder logs each outage once
    with Connection(int(sys.argv[1])) as recorder:
        try:
            url: str = recorder.recv()
            with PredictionStore(url, max_connections=1) as store:
                writer = Writer(url, store)
                recorder.send(READY)
                while True:
                    recorder.send(writer.put(recorder.recv()))
        except (EOFError, ConnectionError):
            return 0


if __name__ == "__main__":
    sys.exit(main())
