"""Put fake records into the stream, one a message, at HEARTH_PRODUCER_RECORDS_PER_SECOND: `python utils/fake_data_producer.py`.

Every message asks another model: the families of the data set and the champion, in turn. While the stream is longer than
HEARTH_STREAM_MAX_LENGTH nothing is sent, so a worker that is away costs no memory.
"""

import argparse
import itertools
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.errors import HearthError
from hearth.fakes import FakeRecords
from hearth.settings import ProducerSettings
from hearth.streaming.client import Fields, StreamWriter
from hearth.streaming.messages import encode
from hearth.streaming.patience import Patience, Stopped
from hearth.telemetry import configure_logging

logger = logging.getLogger("producer")

_TICK_SECONDS = 0.05
_MOST_AT_ONCE = 1_000
_DRAWN_AT_ONCE = 1_000
_FULL_SECONDS = 0.5


def main() -> int:
    """Send until SIGTERM, SIGINT or the number of records that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="employees")
    parser.add_argument("--records", type=int, help="stop after so many (default: never)")
    parser.add_argument("--seed", type=int, default=42, help="the same seed sends the same records")
    options = parser.parse_args()
    configure_logging("producer")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = ProducerSettings()
    try:
        contract = load_contract(options.dataset, settings.data_dir)
        messages = itertools.islice(fake_messages(contract, FakeRecords.load(contract, settings.data_dir), options.seed), options.records)
        with StreamWriter(settings.redis_url.get_secret_value(), settings.stream_name) as writer:
            rate = settings.producer_records_per_second
            logger.info("%g fake records of %s a second go to the stream %s", rate, contract.name, settings.stream_name)
            sent = produce(writer, messages, rate, settings.stream_max_length, Patience(stop))
    except HearthError as error:
        logger.critical("%s", error)
        return 1
    logger.info("stopped after %d records", sent)
    return 0


def fake_messages(contract: Contract, fakes: FakeRecords, seed: int) -> Iterator[Fields]:
    """Yield messages without end; the same seed gives the same ones."""
    aliases = itertools.cycle((*contract.families, CHAMPION))
    for block in itertools.count(seed * 1_000_000):
        for record in fakes.records(_DRAWN_AT_ONCE, block):
            yield encode(contract.name, next(aliases), [record])


def produce(writer: StreamWriter, messages: Iterator[Fields], rate: float, max_length: int, patience: Patience) -> int:
    """Send messages at a rate a second until they end or the process is asked to stop; return how many were sent."""
    sent, since_start, start = 0, 0, time.monotonic()
    try:
        while not patience.ended:
            if _wait_while_full(writer, max_length, patience):
                since_start, start = 0, time.monotonic()  # what was not sent meanwhile is not made up for
            due = int((time.monotonic() - start) * rate) + 1 - since_start
            batch = list(itertools.islice(messages, min(due, _MOST_AT_ONCE)))
            if due > 0 and not batch:
                break
            if batch:
                patience.keep_trying(partial(writer.send, batch))
                sent, since_start = sent + len(batch), since_start + len(batch)
            patience.sleep(min(max((since_start / rate) - (time.monotonic() - start), 0), _TICK_SECONDS))
    except Stopped:
        logger.info("leaving while the server is away")
    return sent


def _wait_while_full(writer: StreamWriter, max_length: int, patience: Patience) -> bool:
    """Return whether there was anything to wait for."""
    waited = False
    while not patience.ended and (length := patience.keep_trying(writer.length)) >= max_length:
        if not waited:
            logger.warning("waiting: the stream holds %d messages, at most %d are wanted: is a worker running?", length, max_length)
            waited = True
        patience.sleep(_FULL_SECONDS)
    if waited:
        logger.info("going on")
    return waited


if __name__ == "__main__":
    sys.exit(main())
