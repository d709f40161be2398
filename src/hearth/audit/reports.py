"""Reports of what records turned out to be, counted: those of a caller about a data set in a minute are one row, and so is a file.

Keys for reports are not required by default, so whoever reports must not decide how many rows there are, nor what is in them.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hearth.audit.actor import Actor
from hearth.audit.entry import Action, Entry, Result, new_entry
from hearth.audit.minutes import OTHER_ADDRESSES, Clock, Minutes
from hearth.audit.trail import Trail
from hearth.predictions.feedback import REFUSED

MOST_CALLERS = 20  # a minute and process, each with a row for each data set
MOST_FILES = 20  # a run, each with a row


@dataclass
class _Reports:
    """What a caller has reported since its first request of this minute: requests and outcomes by data set, empty for refused reports."""

    requests: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)


class LabelReports:
    """Counts reports. Threads may share one; `take` is called every few seconds, and at the end with `everything`.

    Callers beyond a number are told apart by key and door alone.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._minutes: Minutes[Actor, _Reports] = Minutes(_Reports, _without_address, MOST_CALLERS, clock)

    def count(self, actor: Actor, outcomes: Iterable[tuple[str, str]]) -> None:
        """Count the reports of one request: data set, empty for a refused report, and outcome of each."""
        found = list(outcomes)

        def add(reports: _Reports) -> None:
            reports.requests.update({dataset for dataset, _ in found})
            for dataset, outcome in found:
                reports.outcomes.setdefault(dataset, Counter())[outcome] += 1

        self._minutes.count(actor, add)

    def take(self, *, everything: bool = False) -> list[Entry]:
        """Return a row for each data set of each minute that is over, and forget it."""
        return [
            _entry(dataset, outcomes, actor=actor, detail={"requests": reports.requests[dataset], "since": since.isoformat()})
            for actor, since, reports in self._minutes.take(everything=everything)
            for dataset, outcomes in reports.outcomes.items()
        ]


class FileReports:
    """The files of labels that a run loads into a data set: a row for each of the first, and one for all others when it is closed."""

    def __init__(self, trail: Trail, dataset: str) -> None:
        self._trail, self._dataset = trail, dataset
        self._files = 0
        self._others: Counter[str] = Counter()

    def add(self, key: str, outcomes: Mapping[str, int]) -> None:
        """Add a file by its key, and how many of its reports had which outcome."""
        self._files += 1
        if self._files <= MOST_FILES:
            self._trail.record(_entry(self._dataset, outcomes, subject=key))
        else:
            self._others.update(outcomes)

    def close(self) -> None:
        """Write the row of those that have none."""
        if self._files > MOST_FILES:
            self._trail.record(_entry(self._dataset, self._others, detail={"files": self._files - MOST_FILES}))


def _without_address(actor: Actor) -> Actor:
    return replace(actor, address=OTHER_ADDRESSES)


def _entry(
    dataset: str, outcomes: Mapping[str, int], *, subject: str = "", detail: Mapping[str, object] | None = None, actor: Actor | None = None
) -> Entry:
    return new_entry(
        Action.LABELS_REPORTED,
        result=Result.DONE if outcomes.keys() - {REFUSED} else Result.REFUSED,
        dataset=dataset,
        subject=subject,
        detail={"reports": sum(outcomes.values()), "outcomes": dict(sorted(outcomes.items())), **(detail or {})},
        actor=actor,
    )
