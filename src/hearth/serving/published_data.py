"""The report of the data that were published last, read from the registry at most every few seconds, however many ask."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hearth.contracts import Contract
from hearth.contracts.experiment_names import etl_experiment
from hearth.data.data_report import DataReport, Publication
from hearth.errors import RegistryError

_FRESH_SECONDS = 10.0
_AGAIN_SECONDS = 5.0  # for so long those who ask get the error of the one who waited for a registry that is away


class ReportSource(Protocol):
    """The part of a registry that is used here."""

    def publication(self, experiment: str) -> Publication | None: ...

    def data_report(self, publication: Publication) -> DataReport: ...


@dataclass(frozen=True)
class PublishedReport:
    """What was published last, and how it was made."""

    publication: Publication
    report: DataReport


@dataclass(frozen=True)
class _Known:
    report: PublishedReport | None
    until: float
    error: RegistryError | None = None


class PublishedData:
    """Reads reports, each data set by one thread at a time. Threads may share one.

    The report of a publication is read once; which publication is the latest is looked up again after ten seconds.
    """

    def __init__(self, source: ReportSource, contracts: Mapping[str, Contract], clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._contracts, self._clock = source, contracts, clock
        self._locks = {name: threading.Lock() for name in contracts}
        self._known: dict[str, _Known] = {}

    def latest(self, dataset: str) -> PublishedReport | None:
        """Return the report; None if nothing was published, or by a release that left no report.

        Raises:
            RegistryError: the registry does not answer, or has something else there.
        """
        with self._locks[dataset]:
            known = self._known.get(dataset, _Known(None, 0.0))
            if known.until <= self._clock():
                try:
                    known = _Known(self._read(dataset, known.report), self._clock() + _FRESH_SECONDS)
                except RegistryError as error:
                    known = _Known(known.report, self._clock() + _AGAIN_SECONDS, error)
                self._known[dataset] = known
            if known.error is not None:
                raise type(known.error)(str(known.error)) from known.error
            return known.report

    def known(self, dataset: str) -> PublishedReport | None:
        """Return the report that was read last; asks nobody, and is None before the first."""
        known = self._known.get(dataset)
        return known.report if known else None

    def _read(self, dataset: str, before: PublishedReport | None) -> PublishedReport | None:
        publication = self._source.publication(etl_experiment(self._contracts[dataset]))
        if publication is None or (before is not None and before.publication == publication):
            return before if publication is not None else None
        report = self._source.data_report(publication)
        if (report.dataset, report.digest) != (dataset, publication.digest):
            raise RegistryError(f"The report of the data {publication.digest} of {dataset!r} is of {report.dataset!r}, {report.digest}.")
        return PublishedReport(publication, report)
