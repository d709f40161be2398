"""Put fake records into the stream: `python utils/fake_data_producer.py [--drift] [--rate max] [--dataset all] …`.

Every message asks another model: the families of the data set and the champion, in turn. While the stream is longer than
HEARTH_STREAM_MAX_LENGTH nothing is sent, so a worker that is away costs no memory. A message whose answer was lost is sent again: the
records are made up, and one more does no harm.
"""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from hearth.contracts import Contract, list_contracts, load_contract
from hearth.errors import HearthError
from hearth.fakes import FakeRecords
from hearth.fakes.drift import parse_drift
from hearth.fakes.statistics import FILE_NAME
from hearth.settings import ProducerSettings
from hearth.streaming.client import StreamWriter
from hearth.streaming.fakes import FakeMessage, Source, fake_messages
from hearth.streaming.patience import Patience, Stopped
from hearth.streaming.pressure import wait_while_full
from hearth.telemetry import configure_logging

logger = logging.getLogger("producer")

ALL = "all"
AS_FAST_AS_POSSIBLE = 0.0
_TICK_SECONDS = 0.05
_MOST_AT_ONCE = 1_000
_SAMPLE_ROWS = 1_000


def main() -> int:
    """Send until SIGTERM, SIGINT or the number of records that was asked for."""
    configure_logging("producer")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = ProducerSettings()
        options = _parser(settings).parse_args()
        sources = _sources(settings, options.dataset or settings.producer_dataset, options.alias, options.drift or (), options.seed)
        messages = fake_messages(
            sources,
            options.seed,
            sizes=(options.records_per_message,),
            records=options.records,
            bad_share=options.bad_share,
            minutes=_clock(options.rate),
        )
        _announce(sources, options.rate, settings.stream_name)
        with StreamWriter(settings.redis_url.get_secret_value(), settings.stream_name) as writer:
            sent = produce(writer, messages, options.rate, settings.stream_max_length, Patience(stop))
    except HearthError as error:
        logger.critical("%s", error)
        return 1
    logger.info("stopped after %d records", sent)
    return 0


def produce(writer: StreamWriter, messages: Iterator[FakeMessage], rate: float, max_length: int, patience: Patience) -> int:
    """Send messages at a rate of records a second until they end or the process is asked to stop; return how many records were sent."""
    sent, since_start, start = 0, 0, time.monotonic()
    try:
        while not patience.ended:
            if wait_while_full(writer.length, max_length, patience):
                since_start, start = 0, time.monotonic()  # what was not sent meanwhile is not made up for
                continue
            due = int((time.monotonic() - start) * rate) + 1 - since_start if rate else max_length
            batch = _up_to(messages, due)
            if due > 0 and not batch:
                break
            if batch:
                patience.keep_trying(partial(writer.send, [message.fields for message in batch]))
                records = sum(message.records for message in batch)
                sent, since_start = sent + records, since_start + records
            if rate:
                patience.sleep(min(max((since_start / rate) - (time.monotonic() - start), 0), _TICK_SECONDS))
    except Stopped:
        logger.info("leaving while the server is away")
    return sent


def _up_to(messages: Iterator[FakeMessage], records: int) -> list[FakeMessage]:
    """Take as many messages as it takes for so many records."""
    batch: list[FakeMessage] = []
    while records > 0 and len(batch) < _MOST_AT_ONCE:
        message = next(messages, None)
        if message is None:
            break
        batch.append(message)
        records -= message.records
    return batch


def _sources(settings: ProducerSettings, dataset: str, aliases: Sequence[str], drifts: Sequence[str], seed: int) -> list[Source]:
    contracts = _with_statistics(settings) if dataset == ALL else [load_contract(dataset, settings.data_dir)]
    fakes = {contract.name: FakeRecords.load(contract, settings.data_dir) for contract in contracts}
    drift = parse_drift(drifts, contracts, {name: given.records(_SAMPLE_ROWS, seed) for name, given in fakes.items()} if drifts else {})
    sources = [Source.of(contract, fakes[contract.name], drift.get(contract.name)) for contract in contracts]
    return [replace(source, aliases=tuple(aliases)) for source in sources] if aliases else sources


def _with_statistics(settings: ProducerSettings) -> list[Contract]:
    return [contract for contract in list_contracts(settings.data_dir) if (settings.data_dir / contract.name / FILE_NAME).exists()]


def _clock(rate: float) -> Callable[[int], float]:
    """Return what tells the minutes at which a record is sent: by its number, so that a drift can be repeated, if there is a rate."""
    start = time.monotonic()
    return lambda number: number / rate / 60 if rate else (time.monotonic() - start) / 60


def _announce(sources: Sequence[Source], rate: float, stream: str) -> None:
    names = ", ".join(source.contract.name for source in sources)
    speed = f"{rate:g} fake records a second" if rate else "fake records as fast as possible"
    logger.info("%s, of %s, go to the stream %s", speed, names, stream)
    for source in sources:
        if source.drift.changes:
            logger.info("%s drifts: %s", source.contract.name, source.drift)


def _parser(settings: ProducerSettings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", help=f"its name, or {ALL}: each that has statistics (default: HEARTH_PRODUCER_DATASET)")
    parser.add_argument(
        "--alias", action="append", default=[], help="ask this model; again for more (default: the families and the champion)"
    )
    parser.add_argument("--records", type=_count, help="stop after so many (default: never)")
    parser.add_argument("--records-per-message", type=_count, default=1)
    parser.add_argument(
        "--rate", type=_rate, default=settings.producer_records_per_second, help="records a second; max or 0: as fast as possible"
    )
    parser.add_argument(
        "--bad-share", type=_share, default=settings.producer_bad_share, help="the share of records that are bad on purpose"
    )
    parser.add_argument(
        "--drift",
        action="append",
        nargs="?",
        const="",
        metavar="COLUMN=AMOUNT/min",
        help="'Sleep Hours=-0.5/min', 'Sleep Hours=-0.1sd/min' (standard deviations) or 'Gender=Male+10%%/min'; again for more; "
        "without a value some columns are chosen",
    )
    parser.add_argument("--seed", type=int, default=42, help="the same seed sends the same records")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _rate(text: str) -> float:
    rate = AS_FAST_AS_POSSIBLE if text == "max" else float(text)
    if not 0 <= rate < float("inf"):
        raise ValueError(text)
    return rate


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


if __name__ == "__main__":
    sys.exit(main())
