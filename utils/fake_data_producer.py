"""Put fake records into the stream: `python utils/fake_data_producer.py [--drift] [--rate max] [--dataset all] …`.

Every message holds records of one data set and asks another model: the families of each data set and its champion, in turn, as far as they
are trained. While the stream is longer than HEARTH_STREAM_MAX_LENGTH nothing is sent, so a worker that is away costs no memory. A message
whose answer was lost is sent again: the records are made up, and one more does no harm.
"""

import argparse
import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import replace
from functools import partial

from hearth.contracts import Contract
from hearth.contracts.loading import ALL, chosen_contracts
from hearth.errors import HearthError
from hearth.fakes import FakeRecords
from hearth.fakes.drift import parse_drift
from hearth.fakes.statistics import FILE_NAME
from hearth.logs import configure_logging
from hearth.registry import Registry
from hearth.settings import ProducerSettings
from hearth.streaming.client import StreamWriter
from hearth.streaming.producer.fake_messages import FakeMessage, Source, fake_messages
from hearth.streaming.producer.served_aliases import ServedAliases
from hearth.streaming.retrying import Retrier, Stopped, wait_while_full

logger = logging.getLogger("producer")

AS_FAST_AS_POSSIBLE = 0.0
_TICK_SECONDS = 0.05
_SHORTEST_PAUSE_SECONDS = 0.001  # less than that is a rounding error of the clock, and not worth a look at the stream
_UNTRAINED_SECONDS = 0.5
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
        _announce(sources, options.rate, settings.stream_name)
        addresses = {(source.contract.name, alias) for source in sources for alias in source.aliases}
        with _models(settings, addresses, named=bool(options.alias)) as models:
            messages = fake_messages(
                sources,
                options.seed,
                sizes=(options.records_per_message,),
                records=options.records,
                bad_share=options.bad_share,
                minutes=_clock(options.rate),
                is_there=lambda turn: (turn[0].contract.name, turn[1]) in models,
            )
            with StreamWriter(settings.redis_url.get_secret_value(), settings.stream_name, settings.stream_keep_messages) as writer:
                retrier = Retrier(stop)
                sent = produce(
                    writer, messages, options.rate, settings.stream_max_length, retrier, lambda: any(one in models for one in addresses)
                )
    except HearthError as error:
        logger.critical("%s", error)
        return 1
    logger.info("stopped after %d records", sent)
    return 0


def produce(  # noqa: PLR0913, PLR0917 - what is sent, how fast, and what for
    writer: StreamWriter,
    messages: Iterator[FakeMessage],
    rate: float,
    max_length: int,
    retrier: Retrier,
    has_models: Callable[[], bool] = lambda: True,
) -> int:
    """Send messages at a rate of records a second until they end or the process is asked to stop; return how many records were sent.

    Nothing is sent while the stream is full, or there is no model that could be asked.
    """
    sent, since_start, start = 0, 0, time.monotonic()
    try:
        while not retrier.stopping:
            if _wait_for(has_models, retrier) | wait_while_full(writer.length, max_length, retrier):
                since_start, start = 0, time.monotonic()  # what was not sent meanwhile is not made up for
                continue
            due = int((time.monotonic() - start) * rate) + 1 - since_start if rate else max_length
            batch = _up_to(messages, due)
            if due > 0 and not batch:
                break
            if batch:
                retrier.call(partial(writer.send, [message.fields for message in batch]))
                records = sum(message.records for message in batch)
                sent, since_start = sent + records, since_start + records
            if rate:
                until_next = since_start / rate - (time.monotonic() - start)
                retrier.sleep(min(max(until_next, _SHORTEST_PAUSE_SECONDS), _TICK_SECONDS))
    except Stopped:
        logger.info("leaving while the server is away")
    return sent


def _wait_for(has_models: Callable[[], bool], retrier: Retrier) -> bool:
    """Return when there is a model to be asked, or the end has come; tell whether that had to be waited for."""
    waited = False
    while not retrier.stopping and not has_models():
        if not waited:
            logger.warning("waiting: none of these data sets has a model yet. Run a training first.")
            waited = True
        retrier.sleep(_UNTRAINED_SECONDS)
    if waited and not retrier.stopping:
        logger.info("going on: there is a model")
    return waited


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


def _sources(settings: ProducerSettings, datasets: str, aliases: Sequence[str], drifts: Sequence[str], seed: int) -> list[Source]:
    contracts = _contracts(settings, datasets)
    fakes = {contract.name: FakeRecords.load(contract, settings.data_dir) for contract in contracts}
    drift = parse_drift(drifts, contracts, {name: given.records(_SAMPLE_ROWS, seed) for name, given in fakes.items()} if drifts else {})
    sources = [Source.of(contract, fakes[contract.name], drift.get(contract.name)) for contract in contracts]
    return [replace(source, aliases=tuple(aliases)) for source in sources] if aliases else sources


def _contracts(settings: ProducerSettings, datasets: str) -> list[Contract]:
    chosen = chosen_contracts(datasets, settings.data_dir)
    return [found for found in chosen if datasets != ALL or (settings.data_dir / found.name / FILE_NAME).exists()]


def _models(
    settings: ProducerSettings, addresses: Collection[tuple[str, str]], *, named: bool
) -> contextlib.AbstractContextManager[Container[tuple[str, str]]]:
    """Give the models that are asked: the trained ones. Who has named some wants them asked, trained or not."""
    if named:
        return contextlib.nullcontext(addresses)
    return ServedAliases(Registry.from_settings(settings), {dataset for dataset, _ in addresses}, settings.alias_poll_seconds)


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
    parser.add_argument("--dataset", help=f"such as employees,heart, or {ALL}: each that has statistics (default: HEARTH_PRODUCER_DATASET)")
    parser.add_argument(
        "--alias",
        action="append",
        default=[],
        help="ask this model, trained or not; again for more (default: the families and the champion that are trained)",
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
