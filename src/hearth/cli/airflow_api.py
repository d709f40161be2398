"""Airflow's REST API for commands: which Airflow, the login of a person, and its refusals as errors of a command."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from hearth.cli.application import CommandError
from hearth.cli.service import checkout_settings

if TYPE_CHECKING:
    import httpx

URL, USER, PASSWORD = "HEARTH_AIRFLOW_URL", "HEARTH_AIRFLOW_USER", "HEARTH_AIRFLOW_PASSWORD"


@dataclass(frozen=True)
class AirflowApi:
    """An Airflow that a person is logged in to."""

    client: "httpx.Client"

    def send(self, method: str, path: str, what: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Send a request and return its answer; `what` names it in errors.

        Raises:
            CommandError: Airflow refuses it, or has no such thing.
        """
        answer = self.client.request(method, path, json=body)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise CommandError(f"Airflow does not have {what}: is its DAG there?")
        if answer.is_error:
            raise CommandError(f"Airflow refused {what}: {answer.status_code} {answer.text[:500]}")
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def open_airflow(timeout: float) -> Iterator[AirflowApi]:
    """Log in to the Airflow of the settings.

    Raises:
        CommandError: a setting is missing, or Airflow does not answer or refuses the login.
    """
    import httpx  # noqa: PLC0415 - a help page does not wait for it

    settings = {**checkout_settings(), **{name: os.environ[name] for name in (URL, USER, PASSWORD) if name in os.environ}}
    if missing := [name for name in (URL, USER, PASSWORD) if not settings.get(name)]:
        raise CommandError(f"Which Airflow, and who are you? Set {', '.join(missing)}.")
    try:
        with httpx.Client(base_url=settings[URL], timeout=timeout) as client:
            airflow = AirflowApi(client)
            login = airflow.send(
                "POST", "/auth/token", f"the login of {settings[USER]!r}", {"username": settings[USER], "password": settings[PASSWORD]}
            )
            client.headers["Authorization"] = f"Bearer {login['access_token']}"
            yield airflow
    except httpx.HTTPError as error:
        raise CommandError(f"Airflow at {settings[URL]} does not answer: {error}. {URL} says where it is.") from error
