"""The answer of a person to a version that waits: `hearth approve` and `hearth refuse`.

The task of Airflow that waits is the one place where the answer counts; this asks Airflow's REST API to record it there, with the login
of the person. Which task it is, the version says (`GET /models/{dataset}/versions`). Whoever writes MLflow can change that, so the task is
asked first what it waits for: it must be about this data set and version.
"""

import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from hearth.cli.application import MODELS, Command, CommandError, examples
from hearth.cli.remote import ApiKey, NamedDataset, Timeout, Url
from hearth.cli.service import checkout_settings, open_client

if TYPE_CHECKING:
    import httpx

_SECONDS = "60s"
_URL, _USER, _PASSWORD = "HEARTH_AIRFLOW_URL", "HEARTH_AIRFLOW_USER", "HEARTH_AIRFLOW_PASSWORD"
Version = Annotated[str, typer.Argument(metavar="VERSION", help="The number of the version.")]
Comment = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the version.")]


@dataclass(frozen=True)
class _Waiting:
    """A version that waits, and the task of Airflow that it names: `DAG/RUN/TASK`. The task comes from a tag that is not signed."""

    dataset: str
    version: str
    task: str


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command, line in ((approve, 'hearth approve employees 7 --comment "Groups checked"'), (refuse, "hearth refuse employees 7")):
        app.command(cls=Command, rich_help_panel=MODELS, epilog=examples(line))(command)


def approve(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    version: Version,
    comment: Comment = "",
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Let a version that waits for a person take its alias.

    The gate decides again, in the task of Airflow that waits. Needs a login of Airflow: HEARTH_AIRFLOW_URL, HEARTH_AIRFLOW_USER and
    HEARTH_AIRFLOW_PASSWORD.
    """
    _answer(_waiting(dataset, version, url, api_key, timeout), "Approve", comment, timeout)
    typer.echo(f"{dataset} {version} is approved; its DAG goes on.")


def refuse(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    version: Version,
    comment: Comment = "",
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Refuse a version that waits for a person; no alias moves.

    Needs a login of Airflow: HEARTH_AIRFLOW_URL, HEARTH_AIRFLOW_USER and HEARTH_AIRFLOW_PASSWORD.
    """
    _answer(_waiting(dataset, version, url, api_key, timeout), "Reject", comment, timeout)
    typer.echo(f"{dataset} {version} is refused; no alias moves.")


def _waiting(dataset: str, version: str, url: str | None, api_key: str | None, timeout: float) -> _Waiting:
    """Return the version, with the task of Airflow that waits for an answer about it.

    Raises:
        CommandError: the service does not answer, has no such version, or the version does not wait.
    """
    with open_client(url, api_key, timeout) as client:
        found = [info for info in client.versions(dataset).versions if info.version == version]
    if not found:
        raise CommandError(f"unknown_version: {dataset!r} has no version {version}.")
    approval = found[0].approval
    if approval is None or approval.state != "waiting":
        state = f"{approval.by} has {approval.state} it" if approval else "its contract asks nobody (gate.approval)"
        raise CommandError(f"{dataset} {version} does not wait for an answer: {state}.")
    return _Waiting(dataset, version, approval.task)


def _answer(waiting: _Waiting, option: str, comment: str, timeout: float) -> None:
    """Record the answer in Airflow.

    Raises:
        CommandError: the task is not about the version, or Airflow does not answer, refuses the login or the answer, or has had an answer.
    """
    import httpx  # noqa: PLC0415 - a help page does not wait for it

    settings = {**checkout_settings(), **{name: os.environ[name] for name in (_URL, _USER, _PASSWORD) if name in os.environ}}
    if missing := [name for name in (_URL, _USER, _PASSWORD) if not settings.get(name)]:
        raise CommandError(f"Which Airflow, and who are you? Set {', '.join(missing)}.")
    path = _path(waiting)
    try:
        with httpx.Client(base_url=settings[_URL], timeout=timeout) as client:
            login = client.post("/auth/token", json={"username": settings[_USER], "password": settings[_PASSWORD]})
            _require(login, f"the login of {settings[_USER]!r}")
            client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            question = client.get(path)
            _require(question, f"the question of {waiting.task}")
            _require_question(waiting, str(question.json().get("subject") or ""))
            body = {"chosen_options": [option], "params_input": {"comment": comment}}
            _require(client.patch(path, json=body), f"the answer to {waiting.task}")
    except httpx.HTTPError as error:
        raise CommandError(f"Airflow at {settings[_URL]} does not answer: {error}. {_URL} says where it is.") from error


def _path(waiting: _Waiting) -> str:
    """Return where Airflow has the question of the task, which must belong to a training DAG of the data set."""
    from hearth.contracts.airflow_names import PIPELINE, TRAIN  # noqa: PLC0415 - a help page does not wait for pydantic

    if waiting.task.count("/") != 2:  # noqa: PLR2004 - DAG, run, task
        raise CommandError(
            f"The version names no task of Airflow that waits (hearth.approval_task is {waiting.task!r}): answer in Airflow itself."
        )
    dag, run, name = waiting.task.split("/")
    own = dag.removeprefix(f"{waiting.dataset}_")  # the DAGs of one data set have no prefix
    if own != PIPELINE and not own.startswith(f"{TRAIN}_"):
        raise CommandError(
            f"{dag!r} is no training DAG of {waiting.dataset!r}: the version names a task that is not its own (hearth.approval_task is "
            f"{waiting.task!r}). Nothing was answered; answer in Airflow itself, and find out who changed the tag."
        )
    return f"/api/v2/dags/{quote(dag)}/dagRuns/{quote(run)}/taskInstances/{quote(name)}/-1/hitlDetails"


def _require_question(waiting: _Waiting, subject: str) -> None:
    """Require that the task asks about this version (`airflow/dags/approval.py` writes the subject)."""
    if not subject.startswith(f"{waiting.dataset}: may version {waiting.version} take "):
        raise CommandError(
            f"The task that {waiting.dataset} {waiting.version} names (hearth.approval_task is {waiting.task!r}) asks about something "
            f"else: {subject!r}. Nothing was answered; answer in Airflow itself, and find out who changed the tag."
        )


def _require(answer: "httpx.Response", what: str) -> None:
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise CommandError(f"Airflow's task does not wait yet, or not any more: {what}. Try again in a moment.")
    if answer.status_code == HTTPStatus.CONFLICT:
        raise CommandError(f"Airflow has had an answer already: {what} came too late.")
    if answer.is_error:
        raise CommandError(f"Airflow refused {what}: {answer.status_code} {answer.text[:500]}")
