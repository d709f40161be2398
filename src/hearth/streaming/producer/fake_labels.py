"""Labels of fake records, as people send them: late, not for every record, and sometimes wrong."""

import heapq
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random

from hearth.streaming.client import StreamWriter
from hearth.streaming.labels.messages import encode_reports
from hearth.streaming.producer.fake_messages import FakeMessage
from hearth.streaming.retrying import Retrier

_LOGGER = logging.getLogger(__name__)
_SPREAD = 0.5  # of the logarithm of the delay: 95 of 100 labels come within 2.3 times the median
_REPORTED_TOGETHER = 100
_MOST_WAITING = 200_000
_REPORTER = "fake data producer"


@dataclass(frozen=True)
class LabelPlan:
    """How labels come.

    Attributes:
        share: of the records that get a label, 0 to 1.
        delay_seconds: half of the labels come earlier, half later; the delay is log-normal.
        noise: share of the labels that name another class, 0 to 1.
    """

    share: float = 1.0
    delay_seconds: float = 30.0
    noise: float = 0.0


class FakeLabels:
    """Labels that wait for their time. The stream of labels has the bound of the stream of records: while it is full none are sent."""

    def __init__(  # noqa: PLR0913 - what it needs to send
        self,
        writer: StreamWriter,
        plan: LabelPlan,
        classes: Mapping[str, Sequence[str]],
        *,
        max_length: int,
        retrier: Retrier,
        clock: Callable[[], float],
        seed: int = 0,
    ) -> None:
        """`classes` are those of each data set; `clock` returns seconds."""
        self._writer, self._plan, self._classes = writer, plan, classes
        self._max_length, self._retrier, self._clock = max_length, retrier, clock
        self._random = Random(seed)  # noqa: S311 - repeatable, not secret
        self._numbers = count()  # so that labels that are due at the same time come in their order
        self._waiting: list[tuple[float, int, str, dict[str, object]]] = []
        self.sent = self.dropped = 0

    @property
    def waiting(self) -> int:
        """The number of labels whose time has not come, or that could not be sent yet."""
        return len(self._waiting)

    def add(self, ids: Sequence[str], messages: Sequence[FakeMessage]) -> None:
        """Plan the labels of messages that were sent with these ids; refused records have none."""
        now = self._clock()
        for id_, message in zip(ids, messages, strict=True):
            for row, truth in enumerate(message.truths):
                # Every record takes its three numbers, so that a label does not depend on which others there are
                chosen, delay, wrong = self._random.random(), self._random.lognormvariate(0, _SPREAD), self._random.random()
                if truth is None or row in message.bad or not message.readable or chosen >= self._plan.share:
                    continue
                if wrong < self._plan.noise:
                    truth = self._random.choice([other for other in self._classes[message.dataset] if other != truth])  # noqa: PLW2901
                self._plan_one(now + self._plan.delay_seconds * delay, message.dataset, {"id": id_, "row": row, "truth": truth})

    def send_due(self) -> None:
        """Send the labels whose time has come.

        Raises:
            Stopped: the process was asked to stop while the server was unavailable.
        """
        now, due = self._clock(), dict[str, list[dict[str, object]]]()
        if not self._waiting or self._waiting[0][0] > now or self._retrier.call(self._writer.length) >= self._max_length:
            return
        while self._waiting and self._waiting[0][0] <= now:
            _, _, dataset, report = heapq.heappop(self._waiting)
            due.setdefault(dataset, []).append(report)
        messages = [
            encode_reports([{**report, "reported_by": _REPORTER} for report in reports[start : start + _REPORTED_TOGETHER]], dataset)
            for dataset, reports in due.items()
            for start in range(0, len(reports), _REPORTED_TOGETHER)
        ]
        self._retrier.call(partial(self._writer.send, messages))
        self.sent += sum(map(len, due.values()))

    def _plan_one(self, moment: float, dataset: str, report: dict[str, object]) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            if not self.dropped:
                _LOGGER.warning("%d labels wait for their time, which is the most: those of further records do not come", _MOST_WAITING)
            self.dropped += 1
            return
        heapq.heappush(self._waiting, (moment, next(self._numbers), dataset, report))
