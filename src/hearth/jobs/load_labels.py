"""Files of labels in the bucket: `s3://data/<data set>/labels/…`, CSV or Parquet, as docs/feedback.md has them.

Each object is read once: beside it, `<data set>/labels_loaded/<name>.<tag>.json` says what became of it. One that is replaced has another
tag, and is read again. A task that was killed reads its object again from the start, which writes no label twice. Refused rows are in
`<data set>/rejected/labels/<name>.<tag>.csv`, with line and reason; they cost none of the others.
"""

import csv
import hashlib
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_core import to_json

from hearth.alerts import AlertStore, Severity
from hearth.audit import Trail, open_trail
from hearth.audit.reports import FileReports
from hearth.contracts import Contract, load_contract
from hearth.errors import InvalidFile
from hearth.logs import about
from hearth.predictions.feedback import FIELDS, REFUSED, Door, Receipt, receive
from hearth.predictions.label_files import SUFFIXES, FileReport, in_batches, read_reports
from hearth.predictions.label_store import LabelStore
from hearth.settings import MonitorSettings
from hearth.storage import ObjectStore, StoredObject

_LOGGER = logging.getLogger(__name__)
_ALERT = "labels_refused"
_LONGEST_NAME = 100
_LONGEST_KEY, _LONGEST_PART = 800, 200  # bytes of a name, and of what is behind its last slash: what is written beside it has a longer one


@dataclass
class LoadedLabels:
    """What a run has read: objects, their rows by outcome, and the objects that cannot be read to their end."""

    objects: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


class LabelLoader:
    """Loads the files of data sets into a store."""

    def __init__(self, labels: LabelStore, alerts: AlertStore, store: ObjectStore, trail: Trail) -> None:
        self._labels, self._alerts, self._store, self._trail = labels, alerts, store, trail

    def load(self, dataset: str) -> LoadedLabels:
        """Read the objects that were not read yet. One that cannot be read costs none of the others: an alert names it.

        Raises:
            PredictionsUnavailable, StorageUnavailable: a server does not answer; the next run goes on where this one ended.
        """
        contract, loaded = load_contract(dataset), LoadedLabels()
        known = set(self._store.keys(self._store.data_bucket, f"{dataset}/labels_loaded/"))
        with closing(FileReports(self._trail, dataset)) as reports:
            for entry in self._store.objects(self._store.data_bucket, f"{dataset}/labels/"):
                if entry.key.endswith(SUFFIXES) and _marker(dataset, entry) not in known:
                    self._load_object(contract, entry, loaded, reports)
        if loaded.objects:
            self._report(dataset, loaded)
        return loaded

    def _load_object(self, contract: Contract, entry: StoredObject, loaded: LoadedLabels, reports: FileReports) -> None:
        dataset, bucket = contract.name, self._store.data_bucket
        name = _name(dataset, entry)
        door = Door("file", name[-_LONGEST_NAME:], dataset)
        outcomes: Counter[str] = Counter()
        problem = ""
        with _rejected_rows() as rejected:
            try:
                with self._store.copy(bucket, entry.key) as file:
                    for rows in in_batches(read_reports(file, name)):
                        dated = [_dated(row.report, entry) for row in rows]
                        receipts = receive(self._labels, {dataset: contract}, dated, door)
                        outcomes.update(receipt.outcome for receipt in receipts)
                        rejected.add(rows, receipts)
            except InvalidFile as error:
                problem = str(error)
                rejected.add_problem(problem)
                loaded.unreadable.append(problem)
            if rejected.count:
                self._store.put_file(bucket, f"{dataset}/rejected/labels/{_short_name(name)}.{_tag(entry)}.csv", rejected.close())
        if outcomes:
            reports.add(entry.key, outcomes)
        summary = {"key": entry.key, "tag": _tag(entry), "outcomes": dict(outcomes), "problem": problem}
        self._store.put(bucket, _marker(dataset, entry), to_json(summary))
        _LOGGER.info(
            "%s: %s",
            entry.key,
            problem or ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())),
            extra=about(dataset),
        )
        loaded.objects += 1
        loaded.outcomes += outcomes

    def _report(self, dataset: str, loaded: LoadedLabels) -> None:
        """Open an alert about rows that were refused, or resolve it after files without any."""
        refused = loaded.outcomes[REFUSED]
        if not refused and not loaded.unreadable:
            self._alerts.resolve(_ALERT, dataset, "The files of labels that came after it were read to their last row.")
            return
        where = f"s3://{self._store.data_bucket}/{dataset}/rejected/labels/"
        problems = [*loaded.unreadable[:3], *([f"{refused} of {loaded.outcomes.total()} rows are refused"] if refused else [])]
        self._alerts.open(_ALERT, dataset, Severity.WARNING, f"Files of labels: {'; '.join(problems)}. Lines and reasons are in {where}.")


def load_labels(dataset: str) -> LoadedLabels:
    """Load the files of one data set on the servers of the environment; raises what `LabelLoader.load` raises."""
    url = MonitorSettings().monitor_url.get_secret_value()
    with LabelStore(url, max_connections=1) as labels, AlertStore(url) as alerts, open_trail(url) as trail:
        return LabelLoader(labels, alerts, ObjectStore.from_settings(), trail).load(dataset)


class _Rejected:
    """Refused rows as a CSV file: line, reason, and what the row holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(("line", "reason", *FIELDS))
        self.count = 0

    def add(self, rows: Sequence[FileReport], receipts: Sequence[Receipt]) -> None:
        """Add those of the rows that are refused."""
        for row, receipt in zip(rows, receipts, strict=True):
            if receipt.is_refused:
                cells = [row.report.get(name, "") for name in FIELDS] if isinstance(row.report, Mapping) else row.report
                self._add(row.place, receipt.detail or "", cells if isinstance(cells, list) else [])

    def add_problem(self, problem: str) -> None:
        """Add why the file could not be read to its end."""
        self._add("", problem, [])

    def close(self) -> Path:
        """Return the path of the complete file."""
        self._file.close()
        return self._path

    def _add(self, place: object, reason: str, cells: Sequence[object]) -> None:
        self._writer.writerow((place, reason, *cells))
        self.count += 1


@contextmanager
def _rejected_rows() -> Iterator[_Rejected]:
    with tempfile.TemporaryDirectory(prefix="hearth-") as folder:
        rejected = _Rejected(Path(folder) / "rejected.csv")
        try:
            yield rejected
        finally:
            rejected.close()


def _dated(report: object, entry: StoredObject) -> object:
    """Return a report with the time of its object, if it has none, so that an object that is read again says the same."""
    return {"observed_at": entry.modified, **report} if isinstance(report, dict) else report


def _name(dataset: str, entry: StoredObject) -> str:
    return entry.key.removeprefix(f"{dataset}/labels/")


def _short_name(name: str) -> str:
    """Return a name for what is written about an object: its own, or a digest of one that is about as long as a store takes."""
    content = name.encode()
    is_long = len(content) > _LONGEST_KEY or len(content.rpartition(b"/")[2]) > _LONGEST_PART
    return hashlib.sha256(content).hexdigest() if is_long else name


def _tag(entry: StoredObject) -> str:
    return entry.etag.strip('"')


def _marker(dataset: str, entry: StoredObject) -> str:
    return f"{dataset}/labels_loaded/{_short_name(_name(dataset, entry))}.{_tag(entry)}.json"
