"""The client of Prometheus' HTTP API, for the panels of the dashboards."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import pandas as pd

from streamlit_app.service import Json, ServiceError, reason_of

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Series:
    """What an expression returned for one set of labels: times as timestamps in UTC, and their samples; NaN where there is none."""

    labels: Mapping[str, str]
    times: pd.DatetimeIndex
    samples: tuple[float, ...]


class Prometheus:
    """One Prometheus at `address`. Threads may share it."""

    def __init__(self, address: str, client: httpx.Client | None = None) -> None:
        self._address = address.rstrip("/")
        self._client = client or httpx.Client(timeout=_TIMEOUT_SECONDS)

    def query(self, expression: str) -> list[Series]:
        """Return the present value of each series.

        Raises:
            ServiceError: Prometheus does not answer, or refuses the expression.
        """
        data = self._get("query", {"query": expression})
        if data["resultType"] == "scalar":
            return [_series({}, [data["result"]])]
        return [_series(entry["metric"], [entry["value"]]) for entry in data["result"]]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return the values of each series from `start` to `end`, in seconds since 1970, every `step` seconds.

        Raises:
            ServiceError: Prometheus does not answer, or refuses the expression.
        """
        data = self._get("query_range", {"query": expression, "start": start, "end": end, "step": step})
        return [_series(entry["metric"], entry["values"]) for entry in data["result"]]

    def firing(self) -> list[Json]:
        """Return the alerts that fire, each with `labels`, `annotations` and `activeAt`.

        Raises:
            ServiceError: Prometheus does not answer.
        """
        return [alert for alert in self._get("alerts", {})["alerts"] if alert["state"] == "firing"]

    def _get(self, path: str, query: Mapping[str, str | float]) -> Json:
        try:
            answer = self._client.get(f"{self._address}/api/v1/{path}", params=query)
            body: object = answer.json()
        except httpx.HTTPError as error:
            raise ServiceError(f"Prometheus at {self._address} does not answer: {reason_of(error)}.") from error
        except ValueError as error:
            raise ServiceError(f"What answers at {self._address} is not Prometheus.") from error
        if not isinstance(body, dict) or body.get("status") not in {"success", "error"}:
            raise ServiceError(f"What answers at {self._address} is not Prometheus.")
        if body["status"] == "error":
            raise ServiceError(f"Prometheus at {self._address} refuses: {body.get('error')}.")
        data: Json = body["data"]
        return data


def _series(labels: Mapping[str, str], samples: list[tuple[float, str]]) -> Series:
    times = pd.to_datetime([float(time) for time, _ in samples], unit="s", utc=True)
    return Series(labels, times, tuple(float(value) for _, value in samples))  # "NaN" and "+Inf" are floats in Python too
