"""Reports of what records turned out to be, as the services and the stream worker receive them: stored, answered and counted."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hearth.audit import current_actor
from hearth.audit.reports import LabelReports
from hearth.contracts import Contract
from hearth.predictions.feedback import Door, Receipt, receive
from hearth.predictions.label_store import LabelStore
from hearth.serving.access.policy import network
from hearth.tracing.spans import span

_MOST_JUDGED = 20  # traces that a span names


class Feedback:
    """Receives reports in one process. Thread-safe. Requests of several are counted in `reports`, for the audit trail, by current actor."""

    def __init__(self, store: LabelStore, contracts: Mapping[str, Contract], reports: LabelReports | None = None) -> None:
        self._store, self._contracts, self._reports = store, contracts, reports
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()

    def receive(self, reports: Sequence[object], door: Door) -> list[Receipt]:
        """Store the labels of the reports that can be read, and answer each of all; retrying is safe.

        Raises:
            PredictionsUnavailable: all or none may be stored.
        """
        with span("store labels", "client", {"db.system.name": "postgresql", "hearth.reports": len(reports)}) as work:
            receipts = receive(self._store, self._contracts, reports, door)
            judged = dict.fromkeys(receipt.trace_id for receipt in receipts if receipt.trace_id)
            work.set({"hearth.judged_trace_ids": tuple(judged)[:_MOST_JUDGED]})
        with self._lock:
            self._counts.update((door.source, receipt.dataset or "", receipt.outcome) for receipt in receipts)
        if self._reports is not None and len(reports) > 1:
            actor = current_actor()
            caller = replace(actor, address=network(actor.address))
            self._reports.count(caller, [(receipt.dataset or "", receipt.outcome) for receipt in receipts])
        return receipts

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return how many reports were received, by door, data set (empty for refused ones) and outcome."""
        with self._lock:
            return dict(self._counts)
