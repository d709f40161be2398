"""A reader of the stream of labels as a process of its own; with TEST_DIES it is killed when it is about to acknowledge."""

import os
import signal
import threading
from collections.abc import Sequence

from hearth.contracts import load_contract
from hearth.logs import configure_logging
from hearth.predictions.label_store import LabelStore
from hearth.serving.feedback import Feedback
from hearth.settings import WorkerSettings
from hearth.streaming.consumer import DeadLetter, StreamConsumer
from hearth.streaming.labels.worker import LabelWorker
from hearth.streaming.retrying import Retrier

DIES = "TEST_DIES"


class Deadly(StreamConsumer):
    def acknowledge(self, ids: Sequence[str], letters: Sequence[DeadLetter] = ()) -> None:
        if DIES in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        super().acknowledge(ids, letters)


def main() -> None:
    configure_logging("labels")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = WorkerSettings()
    url, name = settings.redis_url.get_secret_value(), settings.labels_stream_name
    reader = Deadly(url, name, settings.stream_group, settings.stream_consumer, settings.stream_max_length, settings.stream_keep_messages)
    contracts = {"employees": load_contract("employees", settings.data_dir)}
    with reader as stream, LabelStore(settings.predictions_url.get_secret_value()) as store:
        LabelWorker(stream, Feedback(store, contracts), settings, Retrier(stop)).run()


if __name__ == "__main__":
    main()
