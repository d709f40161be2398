"""Trials of searches for parameters as MLflow's REST API lists them, as readings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import httpx

from deploy.monitoring.airflow_runs import RecentKeys
from deploy.monitoring.gauges import Reading
from hearth.settings import ExporterSettings

_SEARCH = "/api/2.0/mlflow"
_EXPERIMENTS, _TRIALS = 1_000, 500  # listed in one look
_STATES = {"FINISHED": "finished", "KILLED": "pruned", "FAILED": "failed"}
_OVERLAP_MS = 60_000  # a trial is listed a little after it has ended

Json = Mapping[str, Any]


class TrialHistory:
    """The trials that ended, from lists of the newest ones. Counters count what ended after the first list."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._last: dict[tuple[str, str], tuple[int, float, str]] = {}
        self._counted = RecentKeys()
        self.newest = 0  # when the last trial ended, in milliseconds since 1970

    def readings(self, runs: Sequence[Json]) -> Iterator[Reading]:
        """Take the newest list of MLflow and return all figures of trials."""
        for run in sorted(runs, key=lambda run: int(run["info"].get("end_time") or 0)):
            self._take(run)
        self._counted.is_open = True
        for labels, count in self._counts.items():
            yield Reading("hearth_trials", count, labels)
        for (dataset, family), (_, score, metric) in self._last.items():
            yield Reading("hearth_trial_last_score", score, (dataset, family, metric))

    def _take(self, run: Json) -> None:
        info, tags = run["info"], _named(run["data"].get("tags", ()))
        state, end = _STATES.get(info["status"]), int(info.get("end_time") or 0)
        if state is None or not end:
            return
        of = tags.get("hearth.dataset", ""), tags.get("hearth.family", "")
        self.newest = max(self.newest, end)
        self._counts[*of, state] += self._counted.is_new(info["run_id"])
        scores = {name: value for name, value in _named(run["data"].get("metrics", ())).items() if name.startswith("cv_")}
        if state == "finished" and scores:
            metric, score = next(iter(scores.items()))
            self._last[of] = end, float(score), metric.removeprefix("cv_")


class MlflowProbe:
    """MLflow's registry, which has to answer, and the newest trials."""

    def __init__(self, settings: ExporterSettings, seconds: float) -> None:
        password = settings.mlflow_password.get_secret_value()
        login = (settings.mlflow_user, password) if password else None
        self._connect = partial(httpx.Client, base_url=settings.mlflow_tracking_uri, auth=login, timeout=seconds)
        self._history = TrialHistory()

    def __call__(self) -> Sequence[Reading]:
        with self._connect() as client:
            # /health is answered even where every call is refused
            client.get(f"{_SEARCH}/registered-models/search", params={"max_results": 1}).raise_for_status()
            experiments = _post(client, "experiments/search", max_results=_EXPERIMENTS).get("experiments", [])
            since = max(0, self._history.newest - _OVERLAP_MS)
            runs = _post(
                client,
                "runs/search",
                experiment_ids=[experiment["experiment_id"] for experiment in experiments],
                filter=f"tags.`hearth.trial` != '' AND attributes.end_time >= {since}",
                order_by=["attributes.end_time DESC"],
                max_results=_TRIALS,
            ).get("runs", [])
        return list(self._history.readings(runs))


def _post(client: httpx.Client, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
    return client.post(f"{_SEARCH}/{path}", json=body).raise_for_status().json()


def _named(entries: Sequence[Json]) -> dict[str, Any]:
    return {str(entry["key"]): entry["value"] for entry in entries}
