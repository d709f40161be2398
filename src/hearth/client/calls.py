"""Every call of the REST service, described once: what is sent, how the answer is read, and when it may be sent again.

`Client` and `AsyncClient` send these descriptions; their methods have the signatures and the docstrings of the functions here.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Generic, Literal, TypeVar
from urllib.parse import quote, unquote

import httpx
from pydantic import ValidationError

from hearth.client import answers
from hearth.client.errors import UnexpectedAnswer, api_error

T = TypeVar("T")
A = TypeVar("A", bound=answers.Answer)
Record = Mapping[str, object]
Params = Mapping[str, str | int | bool | None]
Part = Literal["set", "unusual"]
_OK = (200, 202)


class Repeat(Enum):
    """When a call that failed may be sent again."""

    SAFE = "it changes nothing"
    IF_REFUSED = "its records are stored once for each time that it is processed"
    NEVER = "a person decides"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, how its answer is read, and when it may be sent again."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Params = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeat: Repeat = Repeat.SAFE

    @property
    def query(self) -> dict[str, str | int | bool]:
        """The parameters that have a value."""
        return {name: value for name, value in self.params.items() if value is not None}


@dataclass(frozen=True)
class FileCall(Call[answers.ScoredFile]):
    """A call whose body is read from `source` and whose answer is written to `target`."""

    source: Path = Path()
    target: Path = Path()


@dataclass(frozen=True)
class Pages(Generic[T]):
    """A list that comes in pages: `call` returns the page behind a cursor, `split` its items and the next cursor."""

    call: Callable[[str | None], Call[answers.PredictionPage]]
    split: Callable[[answers.PredictionPage], tuple[Sequence[T], str | None]]


def service() -> Call[answers.ServiceInfo]:
    """Return name, version and data sets of the service."""
    return _get("/", answers.ServiceInfo)


def health() -> Call[answers.Health]:
    """Return whether the process lives."""
    return _get("/health", answers.Health)


def ready() -> Call[answers.Readiness]:
    """Return whether the service can do all that it is there for, and what is missing; a service that is not ready is no error."""
    return Call("GET", "/ready", _read(answers.Readiness, (200, 503)))


def datasets() -> Call[answers.DatasetList]:
    """Return every data set."""
    return _get("/datasets", answers.DatasetList)


def dataset(name: str) -> Call[answers.DatasetInfo]:
    """Return the contract of a data set: columns, classes, and an example record."""
    return _get(f"/datasets/{_quoted(name)}", answers.DatasetInfo)


def data(dataset: str) -> Call[answers.DataInfo]:
    """Return what is known of the data that were published last: rows, rejected, duplicates, shifts, class shares.

    Raises:
        NotFound: nothing was published.
    """
    return _get(f"/datasets/{_quoted(dataset)}/data", answers.DataInfo)


def samples(dataset: str, *, count: int = 1, seed: int | None = None) -> Call[answers.SampleRecords]:
    """Return records to try the service with, at most 100; the same seed gives the same."""
    return _get(f"/datasets/{_quoted(dataset)}/samples", answers.SampleRecords, {"count": count, "seed": seed})


def models() -> Call[answers.ModelList]:
    """Return every data set with its aliases and the versions that they serve."""
    return _get("/models", answers.ModelList)


def model_info(model: str = "champion", *, dataset: str | None = None) -> Call[answers.ModelInfo]:
    """Return all that is recorded of the version that an alias serves."""
    return _get("/model-info", answers.ModelInfo, {"model": model, "dataset": dataset})


def versions(dataset: str) -> Call[answers.VersionList]:
    """Return every registered version of a data set, the latest first; asks the registry."""
    return _get(f"/models/{_quoted(dataset)}/versions", answers.VersionList)


def card(dataset: str, version: str = "champion", *, format: Literal["html", "markdown", "json"] = "markdown") -> Call[str]:  # noqa: A002 - the parameter of the route
    """Return the model card of a version, named by its number or an alias; asks the registry.

    Raises:
        NotFound: there is no such version, or it has no card.
    """

    def read(response: httpx.Response) -> str:
        if response.status_code not in _OK:
            raise api_error(response)
        return response.text

    return Call("GET", f"/models/{_quoted(dataset)}/{_quoted(version)}/card", read, {"format": format})


def challenge(dataset: str) -> Call[answers.ChallengeInfo | None]:
    """Return how a data set's challenger compares with its champion; None if nothing was compared yet."""
    listed = _read(answers.ModelList)

    def read(response: httpx.Response) -> answers.ChallengeInfo | None:
        aliases = [info for part in listed(response).datasets if part.dataset == dataset for info in part.aliases]
        return next((info.challenge for info in aliases if info.challenge), None)

    return Call("GET", "/models", read)


def drift(dataset: str, *, at: datetime | None = None) -> Call[answers.Drift]:
    """Return the newest check for drift of a data set, or the newest that was made by a moment; it has to name its zone."""
    return _get(f"/drift/{_quoted(dataset)}", answers.Drift, {"at": at.isoformat() if at else None})


def drift_history(dataset: str, *, limit: int = 100, since: datetime | None = None) -> Call[answers.DriftHistory]:
    """Return the newest checks for drift of a data set, oldest first, without distributions."""
    return _get(f"/drift/{_quoted(dataset)}/history", answers.DriftHistory, {"limit": limit, "since": since.isoformat() if since else None})


def quality(dataset: str, *, at: datetime | None = None) -> Call[answers.Quality]:
    """Return the quality that labels show of a data set, now or as it was measured by a moment; it has to name its zone."""
    return _get(f"/quality/{_quoted(dataset)}", answers.Quality, {"at": at.isoformat() if at else None})


def quality_history(dataset: str, *, limit: int = 100, since: datetime | None = None) -> Call[answers.QualityHistory]:
    """Return the newest checks of quality of a data set, oldest first, of the champion alone."""
    parameters = {"limit": limit, "since": since.isoformat() if since else None}
    return _get(f"/quality/{_quoted(dataset)}/history", answers.QualityHistory, parameters)


def retrains(dataset: str, *, limit: int = 50) -> Call[answers.RetrainList]:
    """Return the newest decisions about training again, and what would be decided now."""
    return _get(f"/retrains/{_quoted(dataset)}", answers.RetrainList, {"limit": limit})


def forget(message_id: str, *, row: int | None = None) -> Call[answers.Erasure]:
    """Erase the predictions and labels of a message, or of one of its records, for good. Needs a key with the scope admin.

    Raises:
        NotFound: nothing is stored under this id, and nothing was.
    """
    return Call("DELETE", f"/predictions/{_quoted(message_id)}", _read(answers.Erasure), {"row": row})


def alerts(
    *, state: str | None = None, dataset: str | None = None, severity: str | None = None, limit: int = 100
) -> Call[answers.AlertList]:
    """Return alerts: open ones first, then acknowledged, then resolved; an empty data set means those of the stack."""
    return _get("/alerts", answers.AlertList, {"state": state, "dataset": dataset, "severity": severity, "limit": limit})


def alert(alert_id: int) -> Call[answers.AlertHistory]:
    """Return an alert with what happened to it, and whether that was sent.

    Raises:
        NotFound: there is no such alert.
    """
    return _get(f"/alerts/{alert_id:d}", answers.AlertHistory)


def audit(  # noqa: PLR0913 - filters
    *,
    action: str | None = None,
    actor: str | None = None,
    dataset: str | None = None,
    result: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Call[answers.AuditPage]:
    """Return a page of the audit trail, the newest first; `after` takes the cursor of the page before. Needs the scope admin."""
    parameters = {
        "action": action,
        "actor": actor,
        "dataset": dataset,
        "result": result,
        "since": since.isoformat() if since else None,
        "limit": limit,
        "after": after,
    }
    return _get("/audit", answers.AuditPage, parameters)


def acknowledge_alert(alert_id: int, *, by: str | None = None) -> Call[answers.AlertInfo]:
    """Take an alert up, in the name of a person or of the API key; whoever did so first stays. Needs the scope admin.

    Raises:
        NotFound: there is no such alert.
        Conflict: it is resolved.
    """
    return post(f"/alerts/{alert_id:d}/acknowledge", answers.AlertInfo, json_body({"by": by}), Repeat.SAFE)


def resolve_alert(alert_id: int, *, why: str | None = None, by: str | None = None) -> Call[answers.AlertInfo]:
    """Say that an alert is over. Trouble that is still there opens a new one. Needs the scope admin.

    Raises:
        NotFound: there is no such alert.
    """
    body = {"by": by} | ({"why": why} if why is not None else {})
    return post(f"/alerts/{alert_id:d}/resolve", answers.AlertInfo, json_body(body), Repeat.SAFE)


def predict(
    records: Record | Sequence[Record],
    *,
    dataset: str | None = None,
    model: str = "champion",
    include: Sequence[Part] = (),
    request_id: str | None = None,
) -> Call[answers.Predictions]:
    """Score one raw record or several; NaN counts as missing.

    `include` asks for more: `set`, the classes that a record may have, and `unusual`, how unlike the train set it is.

    The answer's `request_id` begins with `request_id`. Every answer is stored under an id of its own, so a call that may have been
    processed is not sent again.

    Raises:
        InvalidRequest: a record breaks the contract; `problems` has row, column, value and expectation.
        NotFound: there is no such data set or alias.
        Conflict: the version was trained before it kept what is to be included.
        ServiceUnavailable: the alias has no version yet.
    """
    params: Params = {"model": model, "include": _listed(include)}
    call = post(_of(dataset, "predict"), answers.Predictions, _body(records), Repeat.IF_REFUSED, params)
    return replace(call, headers={**call.headers, "X-Request-ID": request_id}) if request_id else call


def explain(
    records: Record | Sequence[Record],
    *,
    dataset: str | None = None,
    model: str = "champion",
    explained_class: str | None = None,
    top: int | None = None,
) -> Call[answers.Explanations]:
    """Return what each column of a record adds to the score of a class: the predicted one, `explained_class`, or `all` of them.

    `top` limits the contributions of each record to the largest. Nothing is stored.
    """
    params: Params = {"model": model, "class": explained_class, "top": top}
    return post(_of(dataset, "explain"), answers.Explanations, _body(records), Repeat.SAFE, params)


def predict_file(  # noqa: PLR0913 - all but the first two are named
    source: str | Path,
    target: str | Path,
    *,
    dataset: str | None = None,
    model: str = "champion",
    include: Sequence[Part] = (),
    prefix: str = "",
) -> FileCall:
    """Score a CSV or Parquet file (by its suffix) and write the scored file to `target`, which is replaced only by a whole answer.

    The names of the added columns begin with `prefix`; `include` adds those of prediction sets and of what is unusual. Neither file is
    held in memory.
    """
    source, target = Path(source), Path(target)
    kind = "parquet" if source.suffix.lower() in {".parquet", ".pq"} else "csv"

    def read(response: httpx.Response) -> answers.ScoredFile:
        headers = response.headers
        counts = int(headers["X-Rows"]), int(headers["X-Rows-Refused"])
        understood = unquote(headers.get("X-Understood", ""))  # older services have none
        return answers.ScoredFile(target, *counts, headers["X-Model-Alias"], headers["X-Model-Version"], understood)

    return FileCall(
        "POST",
        _of(dataset, f"predict/{kind}"),
        read,
        params={"model": model, "prefix": prefix, "include": _listed(include)},
        headers={"Content-Type": "application/octet-stream"},
        repeat=Repeat.IF_REFUSED,
        source=source,
        target=target,
    )


def predict_stream(
    records: Record | Sequence[Record],
    *,
    dataset: str | None = None,
    model: str = "champion",
    include: Sequence[Part] = (),
    batch: int = 1,
) -> Call[answers.QueuedRecords]:
    """Queue records for the workers of the stream, `batch` of them a message; `prediction` returns what became of a message.

    `include` refuses versions that cannot tell a set of classes, or what is unusual; what a version can tell is always stored.

    Raises:
        TooManyRequests: the stream is full; nothing was queued.
    """
    params: Params = {"model": model, "batch": batch, "include": _listed(include)}
    return post(_of(dataset, "predict_stream"), answers.QueuedRecords, _body(records), Repeat.IF_REFUSED, params)


def prediction(message_id: str) -> Call[answers.MessageOutcome]:
    """Return what became of a message of the stream or of a request, by its id."""
    return _get(f"/predictions/{_quoted(message_id)}", answers.MessageOutcome)


def predictions_page(  # noqa: PLR0913 - the filters of the route
    *,
    after: str | None = None,
    limit: int = 100,
    dataset: str | None = None,
    model: str | None = None,
    source: Literal["stream", "rest", "graphql", "grpc", "file", "batch"] | None = None,
    role: Literal["answer", "challenger"] = "answer",
    since: datetime | None = None,
) -> Call[answers.PredictionPage]:
    """Return a page of stored predictions, newest first; its `cursor` is the `after` of the next page. `since` has a time zone."""
    params = {"after": after, "limit": limit, "dataset": dataset, "model": model, "source": source, "role": role}
    return _get("/predictions", answers.PredictionPage, {**params, "since": since.isoformat() if since else None})


def predictions(  # noqa: PLR0913 - the filters of the route
    *,
    page_size: int = 1000,
    dataset: str | None = None,
    model: str | None = None,
    source: Literal["stream", "rest", "graphql", "grpc", "file", "batch"] | None = None,
    role: Literal["answer", "challenger"] = "answer",
    since: datetime | None = None,
) -> Pages[answers.StoredPrediction]:
    """Iterate over all stored predictions, newest first; a page is fetched when it is reached. `since` has a time zone."""

    def call(cursor: str | None) -> Call[answers.PredictionPage]:
        return predictions_page(after=cursor, limit=page_size, dataset=dataset, model=model, source=source, role=role, since=since)

    return Pages(call, lambda page: (page.predictions, page.cursor))


def stream(*, letters: int = 10, dataset: str | None = None) -> Call[answers.StreamInfo]:
    """Return what waits in the stream, and the latest `letters` dead letters, of one data set or of all."""
    return _get("/stream", answers.StreamInfo, {"letters": letters, "dataset": dataset})


def promote(
    dataset: str, *, version: str | None = None, from_alias: str | None = None, to: str = "champion", over_gate: bool = False
) -> Call[answers.MovedAliases]:
    """Give the alias `to` to a version, named by its number or by an alias that it carries. Needs the scope admin; never sent again.

    Raises:
        Conflict: the gate has not passed the version, or it cannot be loaded; nothing was moved.
    """
    body = {"version": version, "from": from_alias, "to": to, "over_gate": over_gate}
    content = json_body({name: value for name, value in body.items() if value is not None})
    return post(f"/models/{_quoted(dataset)}/promote", answers.MovedAliases, content, Repeat.NEVER)


def roll_back(dataset: str, *, over_gate: bool = False) -> Call[answers.MovedAliases]:
    """Let champion and previous change places. Needs the scope admin; never sent again.

    Raises:
        Conflict: there is no previous champion, or it breaks a bound of the contract on the present test set; nothing was moved.
    """
    params: Params = {"over_gate": "true"} if over_gate else {}
    return post(f"/models/{_quoted(dataset)}/rollback", answers.MovedAliases, b"", Repeat.NEVER, params)


def rollouts(dataset: str, *, limit: int = 20) -> Call[answers.Rollouts]:
    """Return the rollout of a data set that runs, and those that have ended, together at most `limit`."""
    return _get(f"/rollouts/{_quoted(dataset)}", answers.Rollouts, {"limit": limit})


def start_rollout(dataset: str, version: str, *, steps: Sequence[float] | None = None, over_gate: bool = False) -> Call[answers.Rollout]:
    """Try a version on a share of the champion's requests. Needs the scope admin; never sent again.

    Raises:
        Conflict: another one runs, or the gate has not passed the version; nothing was moved.
    """
    body = {"version": version, "steps": list(steps) if steps else None, "over_gate": over_gate}
    content = json_body({name: value for name, value in body.items() if value is not None})
    return post(f"/models/{_quoted(dataset)}/rollout/start", answers.Rollout, content, Repeat.NEVER)


def steer_rollout(dataset: str, action: Literal["step", "pause", "resume", "stop"]) -> Call[answers.Rollout]:
    """Step the rollout that runs forward, pause, resume or stop it. Needs the scope admin; never sent again."""
    return post(f"/models/{_quoted(dataset)}/rollout/{action}", answers.Rollout, b"", Repeat.NEVER)


def reload() -> Call[answers.Reloaded]:
    """Let the process that answers read the registry now. Needs the scope admin; never sent again."""
    return post("/model/reload", answers.Reloaded, b"", Repeat.NEVER)


def _get(path: str, type_: type[A], params: Params | None = None) -> Call[A]:
    return Call("GET", path, _read(type_), params or {})


def post(path: str, type_: type[A], content: bytes, repeat: Repeat, params: Params | None = None) -> Call[A]:
    """Describe a call that sends JSON."""
    return Call("POST", path, _read(type_), params or {}, content, {"Content-Type": "application/json"}, repeat)


def _read(type_: type[A], statuses: Sequence[int] = _OK) -> Callable[[httpx.Response], A]:
    def read(response: httpx.Response) -> A:
        if response.status_code not in statuses:
            raise api_error(response)
        try:
            return type_.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the body"
            raise UnexpectedAnswer(response, f"{place} is not as expected ({first['msg']})") from error

    return read


def _listed(include: Sequence[Part]) -> str | None:
    return ",".join(include) or None


def _of(dataset: str | None, action: str) -> str:
    """Return the path of an action on a data set; without a name on the service's default one."""
    return f"/{action}" if dataset is None else f"/{_quoted(dataset)}/{action}"


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _body(records: Record | Sequence[Record]) -> bytes:
    rows = [records] if isinstance(records, Mapping) else records
    return json_body({"data": list(_without_nan(rows))})


def _without_nan(records: Sequence[Record]) -> Iterator[Record]:
    for record in records:
        yield {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in record.items()}


def json_body(body: object) -> bytes:
    """Return JSON; infinity, which JSON does not have, is sent as Python writes it, so that the service can name its row and column."""
    return json.dumps(body, ensure_ascii=False, default=_plain).encode()


def _plain(value: object) -> object:
    """Return a number of numpy as one of Python, and a day as its text."""
    if isinstance(value, date):
        return value.isoformat()
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    message = f"a record cannot hold {value!r} of type {type(value).__name__}"
    raise TypeError(message)
