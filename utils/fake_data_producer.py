"""Put fake records into the stream: `python utils/fake_data_producer.py [--drift] [--rate max] [--dataset all] …`.

Each message holds records of one data set and names an alias: the trained families of each data set and its champion, in turn. While the
stream is longer than HEARTH_STREAM_MAX_LENGTH nothing is sent, so an absent worker costs no memory. A message without an answer from the
server is sent again, and may then be there twice: its records are fake.
"""

import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from hearth.cli import values
from hearth.cli.application import FAILED, run_program
from hearth.contracts import Contract
from hearth.contracts.loading import ALL, chosen_contracts
from hearth.errors import HearthError, InvalidDrift
from hearth.fakes import FakeRecords
from hearth.fakes.drift import parse_drift
from hearth.fakes.statistics import FILE_NAME
from hearth.fakes.truth import parse_concept
from hearth.logs import about, configure_logging
from hearth.registry import Registry
from hearth.settings import ProducerSettings
from hearth.streaming.client import StreamWriter
from hearth.streaming.producer.fake_labels import FakeLabels, LabelPlan
from hearth.streaming.producer.fake_messages import FakeMessage, Source, fake_messages
from hearth.streaming.producer.served_aliases import ServedAliases
from hearth.streaming.retrying import Retrier, Stopped, wait_while_full
from hearth.tracing.export import exported_spans

logger = logging.getLogger("producer")

_TICK_SECONDS = 0.05
_SHORTEST_PAUSE_SECONDS = 0.001  # less is a rounding error of the clock
_UNTRAINED_SECONDS = 0.5
_BATCH_MESSAGES = 1_000
_SAMPLE_ROWS = 1_000


def main(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Annotated[str | None, values.datasets("One data set, several, or all (default: HEARTH_PRODUCER_DATASET).")] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(metavar="ALIAS", help="Send to this alias, trained or not; may be repeated (default: all that are trained)."),
    ] = None,
    records: Annotated[int | None, values.whole("Stop after this number of records (default: never).")] = None,
    records_per_message: Annotated[int, values.whole("Records in a message.")] = 1,
    rate: Annotated[float | None, values.rate("Records a second, or max (default: HEARTH_PRODUCER_RECORDS_PER_SECOND).")] = None,
    bad_share: Annotated[float | None, values.share("The share of invalid records (default: HEARTH_PRODUCER_BAD_SHARE).")] = None,
    drift: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[COLUMN=AMOUNT/min]",
            help="'Sleep Hours=-0.5/min', 'Sleep Hours=-0.1sd/min' (standard deviations) or 'Gender=Male+10%/min'; without '/min' at once; "
            "may be repeated; "
            "without a value some columns are selected.",
        ),
    ] = None,
    concept: Annotated[
        str | None,
        typer.Option(
            metavar="CHANGE",
            help="What records turn out to be changes: +0.1 moves a target that is cut into classes, 30% is the share that changes class.",
        ),
    ] = None,
    concept_after: Annotated[float | None, values.duration("When the concept changes (default: at the start).")] = None,
    labels: Annotated[
        float | None, values.share("Send labels of this share of the records later (default: HEARTH_PRODUCER_LABELS).")
    ] = None,
    label_delay: Annotated[float, values.duration("Half of the labels come earlier than this after their record, half later.")] = "30s",  # type: ignore[assignment]  # Typer parses it
    label_noise: Annotated[float, values.share("The share of labels that name a wrong class.")] = 0.0,
    seed: Annotated[int, values.seed("The same seed sends the same records.")] = 42,
) -> None:
    """Put fake records into the stream until SIGTERM, SIGINT or the number of records."""
    configure_logging("producer")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = ProducerSettings()
        speed = settings.producer_records_per_second if rate is None else rate
        sources = _sources(settings, dataset or settings.producer_dataset, alias or (), drift or (), seed)
        if concept is not None:
            sources = _with_concept(sources, concept, (concept_after or 0) / 60, seed)
        plan = LabelPlan(settings.producer_labels if labels is None else labels, label_delay, label_noise)
        _announce(sources, speed, settings.stream_name)
        addresses = {(source.contract.name, name) for source in sources for name in source.aliases}
        with _models(settings, addresses, named=bool(alias)) as models:
            messages = fake_messages(
                sources,
                seed,
                sizes=(records_per_message,),
                records=records,
                bad_share=settings.producer_bad_share if bad_share is None else bad_share,
                minutes=_clock(speed),
                is_there=lambda turn: (turn[0].contract.name, turn[1]) in models,
            )
            redis_url, keep, retrier = settings.redis_url.get_secret_value(), settings.stream_keep_messages, Retrier(stop)
            with (
                exported_spans("producer"),
                StreamWriter(redis_url, settings.stream_name, keep) as writer,
                StreamWriter(redis_url, settings.labels_stream_name, keep) as labels_writer,
            ):
                classes = {source.contract.name: source.contract.target.classes for source in sources}
                bound = settings.stream_max_length
                late = FakeLabels(labels_writer, plan, classes, max_length=bound, retrier=retrier, clock=time.monotonic, seed=seed)
                count = produce(
                    writer,
                    messages,
                    speed,
                    bound,
                    retrier,
                    lambda: any(address in models for address in addresses),
                    late if plan.share else None,
                )
    except HearthError as error:
        logger.critical("%s", error)
        raise typer.Exit(FAILED) from error
    logger.info("stopped after %d records", count)
    if plan.share:
        logger.info("%d labels were sent; %d more had not come yet", late.sent, late.waiting + late.dropped)


def produce(  # noqa: PLR0913, PLR0917 - where to, what, how fast, until when
    writer: StreamWriter,
    messages: Iterator[FakeMessage],
    rate: float,
    max_length: int,
    retrier: Retrier,
    has_models: Callable[[], bool] = lambda: True,
    labels: FakeLabels | None = None,
) -> int:
    """Send messages at a rate of records a second until they end or the process must stop; return the number of records.

    With `labels`, the labels of the records follow them, and those that are late are waited for.

    Nothing is sent while the stream is full or no alias is trained.
    """
    total, since_start, start = 0, 0, time.monotonic()
    try:
        while not retrier.stopping:
            if _wait_for(has_models, retrier) | wait_while_full(writer.length, max_length, retrier):
                since_start, start = 0, time.monotonic()  # the pause is not made up for
                continue
            due = int((time.monotonic() - start) * rate) + 1 - since_start if rate else max_length
            batch = _take(messages, due)
            if due > 0 and not batch:
                break
            if batch:
                ids = retrier.call(partial(writer.send, [message.fields for message in batch]))
                if labels is not None:
                    labels.add(ids, batch)
                records = sum(message.records for message in batch)
                total, since_start = total + records, since_start + records
            if rate:
                until_next = since_start / rate - (time.monotonic() - start)
                retrier.sleep(min(max(until_next, _SHORTEST_PAUSE_SECONDS), _TICK_SECONDS))
            if labels is not None:
                labels.send_due()
        while labels is not None and labels.waiting and not retrier.stopping:
            labels.send_due()
            retrier.sleep(_TICK_SECONDS)
    except Stopped:
        logger.info("leaving while the server is away")
    return total


def _wait_for(has_models: Callable[[], bool], retrier: Retrier) -> bool:
    """Wait until an alias is trained or the process must stop; tell whether that took any time."""
    is_waiting = False
    while not retrier.stopping and not has_models():
        if not is_waiting:
            logger.warning("waiting: none of these data sets has a model yet. Run a training first.")
            is_waiting = True
        retrier.sleep(_UNTRAINED_SECONDS)
    if is_waiting and not retrier.stopping:
        logger.info("going on: there is a model")
    return is_waiting


def _take(messages: Iterator[FakeMessage], records: int) -> list[FakeMessage]:
    """Return the next messages that hold this number of records."""
    batch: list[FakeMessage] = []
    while records > 0 and len(batch) < _BATCH_MESSAGES:
        message = next(messages, None)
        if message is None:
            break
        batch.append(message)
        records -= message.records
    return batch


def _sources(settings: ProducerSettings, datasets: str, aliases: Sequence[str], drifts: Sequence[str], seed: int) -> list[Source]:
    contracts = _contracts(settings, datasets)
    fakes = {contract.name: FakeRecords.load(contract, settings.data_dir) for contract in contracts}
    drift = parse_drift(drifts, contracts, {name: fake.records(_SAMPLE_ROWS, seed) for name, fake in fakes.items()} if drifts else {})
    sources = [Source.of(contract, fakes[contract.name], drift.get(contract.name)) for contract in contracts]
    return [replace(source, aliases=tuple(aliases)) for source in sources] if aliases else sources


def _with_concept(sources: Sequence[Source], text: str, after_minutes: float, seed: int) -> list[Source]:
    """Return the sources with a change of what their records turn out to be; those that cannot change so stay as they are."""
    changed, problem = list[Source](), None
    for source in sources:
        try:
            concept = parse_concept(text, source.contract, source.fakes.records(_SAMPLE_ROWS, seed), after_minutes)
        except InvalidDrift as error:
            changed, problem = [*changed, source], error
        else:
            changed.append(replace(source, concept=concept))
    if problem and not any(source.concept for source in changed):
        raise problem
    return changed


def _contracts(settings: ProducerSettings, datasets: str) -> list[Contract]:
    contracts = chosen_contracts(datasets, settings.data_dir)
    return [contract for contract in contracts if datasets != ALL or (settings.data_dir / contract.name / FILE_NAME).exists()]


def _models(
    settings: ProducerSettings, addresses: Collection[tuple[str, str]], *, named: bool
) -> contextlib.AbstractContextManager[Container[tuple[str, str]]]:
    """Return the aliases to send to: the trained ones, or if some are named on the command line, those, trained or not."""
    if named:
        return contextlib.nullcontext(addresses)
    return ServedAliases(Registry.from_settings(settings), {dataset for dataset, _ in addresses}, settings.alias_poll_seconds)


def _clock(rate: float) -> Callable[[int], float]:
    """Return a function from the number of a record to its minute; with a rate it is exact, so that a drift can be repeated."""
    start = time.monotonic()
    return lambda number: number / rate / 60 if rate else (time.monotonic() - start) / 60


def _announce(sources: Sequence[Source], rate: float, stream: str) -> None:
    names = ", ".join(source.contract.name for source in sources)
    speed = f"{rate:g} fake records a second" if rate else "fake records as fast as possible"
    logger.info("%s, of %s, go to the stream %s", speed, names, stream)
    for source in sources:
        if source.drift.changes:
            logger.info("%s drifts: %s", source.contract.name, source.drift, extra=about(source.contract.name))
        if source.concept:
            logger.info("%s changes its concept: %s", source.contract.name, source.concept, extra=about(source.contract.name))


def with_empty_drift(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with an empty value for each `--drift` that has none: options of Typer always have one."""
    pairs = zip(arguments, [*arguments[1:], "-"], strict=False)
    return [f"{word}=" if word == "--drift" and following.startswith("-") else word for word, following in pairs]


if __name__ == "__main__":
    run_program(main, arguments=with_empty_drift(sys.argv[1:]))
