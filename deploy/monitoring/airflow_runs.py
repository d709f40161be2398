"""What Airflow's REST API says of DAGs, runs and tasks, as readings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deploy.monitoring.gauges import Reading

_ENDED = ("success", "failed")
_REMEMBERED = 5_000  # runs and tries that are known to be counted

Json = Mapping[str, Any]


class RunHistory:
    """The runs of each DAG, from lists of the newest ones: what an earlier list had is remembered.

    Counters count what ended after the first list, so that a restart of the exporter counts nothing twice.
    """

    def __init__(self) -> None:
        self._last: dict[str, Json] = {}
        self._successes: dict[str, float] = {}
        self._tasks: dict[tuple[str, str], float] = {}
        self._runs: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._counted_runs, self._counted_tries = RecentKeys(), RecentKeys()

    def readings(self, dags: Sequence[Json], runs: Sequence[Json], tries: Sequence[Json], now: datetime) -> Iterator[Reading]:
        """Take the newest lists of Airflow and return all figures of DAGs and tasks.

        A run that has no start yet counts from when it should have run.
        """
        self._take_runs(runs)
        self._take_tries(tries)
        for dag in dags:
            yield from self._of_dag(dag, [run for run in runs if run["dag_id"] == dag["dag_id"] and run["state"] not in _ENDED], now)
        known = {dag["dag_id"] for dag in dags}
        for (dag_id, task_id), seconds in self._tasks.items():
            if dag_id in known:
                yield Reading("hearth_task_last_seconds", seconds, (dag_id, task_id))
                yield Reading("hearth_task_failures", self._failures[dag_id, task_id], (dag_id, task_id))

    def _of_dag(self, dag: Json, open_runs: Sequence[Json], now: datetime) -> Iterator[Reading]:
        name = dag["dag_id"]
        for state in _ENDED:
            yield Reading("hearth_dag_runs", self._runs[name, state], (name, state))
        ages = [(now - start).total_seconds() for run in open_runs if (start := time_of(run, "start_date", "run_after"))]
        yield Reading("hearth_dag_running_seconds", max(0.0, *ages, 0.0), (name,))
        if last := self._last.get(name):
            yield Reading("hearth_dag_last_run_failed", float(last["state"] == "failed"), (name,))
            if (start := time_of(last, "start_date")) and (end := time_of(last, "end_date")):
                yield Reading("hearth_dag_last_run_seconds", (end - start).total_seconds(), (name,))
        if name in self._successes:
            yield Reading("hearth_dag_last_success_timestamp_seconds", self._successes[name], (name,))
        if not dag.get("is_paused") and (due := time_of(dag, "next_dagrun_run_after")):
            yield Reading("hearth_dag_next_run_timestamp_seconds", due.timestamp(), (name,))

    def _take_runs(self, runs: Sequence[Json]) -> None:
        ended = [(end, run) for run in runs if run["state"] in _ENDED and (end := time_of(run, "end_date", "run_after"))]
        for end, run in sorted(ended, key=lambda pair: pair[0]):
            name, known = run["dag_id"], self._last.get(run["dag_id"])
            if known is None or (time_of(known, "end_date", "run_after") or end) <= end:
                self._last[name] = run
            if run["state"] == "success":
                self._successes[name] = max(end.timestamp(), self._successes.get(name, 0.0))
            if self._counted_runs.is_new(f"{name} {run['dag_run_id']} {run.get('end_date')}"):
                self._runs[name, run["state"]] += 1
        self._counted_runs.is_open = True

    def _take_tries(self, tries: Sequence[Json]) -> None:
        ended = [(end, one) for one in tries if (end := time_of(one, "end_date"))]
        for _, one in sorted(ended, key=lambda pair: pair[0]):
            key = one["dag_id"], one["task_id"]
            self._tasks[key] = float(one.get("duration") or 0.0)
            is_new = self._counted_tries.is_new(f"{key} {one['dag_run_id']} {one.get('map_index')} {one['try_number']} {one['end_date']}")
            if is_new and one["state"] in {"failed", "up_for_retry"}:
                self._failures[key] += 1
        self._counted_tries.is_open = True


class RecentKeys:
    """What was counted already; nothing counts before it is open."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self.is_open = False

    def is_new(self, key: str) -> bool:
        """Return whether a key comes for the first time, and remember it."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > _REMEMBERED:
            del self._keys[next(iter(self._keys))]
        return self.is_open


def time_of(entry: Json, *names: str) -> datetime | None:
    """Return the first of these times that an entry has."""
    for name in names:
        if text := entry.get(name):
            found = datetime.fromisoformat(str(text))
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
