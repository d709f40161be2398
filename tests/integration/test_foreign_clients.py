"""Clients that others wrote, each in an environment of its own, against real servers: they get the answers that REST gives."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.grpc.service import Service, Shelf, fitted, serving
from tests.support.models import FakeRegistry
from tests.support.samples import EMPLOYEES, ROOT, records, sample_rows

RECORDS = records(sample_rows(EMPLOYEES, 12, seed=9)[0])
PAGE = (ROOT / "docs/protocols.md").read_text("utf-8")
PROGRAMS = Path(__file__).parents[1] / "support/clients"


@pytest.fixture(scope="module")
def rest() -> Iterator[httpx.Client]:
    """Every alias serves the same version of a really fitted model."""
    shelf = FakeRegistry(fitted(), champion="2", knn="2")
    with running(create_app(service_settings(), shelf, checks={})) as client:
        yield client


@pytest.fixture(scope="module")
def grpc_service() -> Iterator[Service]:
    with serving(Shelf({"champion": "2", "knn": "2"}, {"2": fitted()})) as service:
        yield service


def address(client: httpx.Client) -> str:
    return f"{client.base_url.host}:{client.base_url.port}"


def ask(environment: str, program: str, *arguments: str) -> dict[str, Any]:
    python = ROOT / ".venvs" / environment / "bin/python"
    if not python.exists():
        pytest.skip(f"needs the environment .venvs/{environment}: make .venvs/{environment}/.installed")
    command = [str(python), str(PROGRAMS / program), *arguments]
    ended = subprocess.run(command, input=json.dumps(RECORDS), capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    heard: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return heard


def expected(client: httpx.Client) -> tuple[list[str], list[list[float]]]:
    body = client.post("/predict", json={"data": RECORDS}).json()
    return body["labels"], [list(row.values()) for row in body["probabilities"]]


def server(protocol: str, rest: httpx.Client, grpc_service: Service) -> str:
    return address(rest) if protocol == "http" else grpc_service.address


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritonclient_is_answered_in_every_form_that_it_sends(protocol: str, rest: httpx.Client, grpc_service: Service) -> None:
    heard = ask("clients", "triton.py", protocol, server(protocol, rest, grpc_service))

    labels, probabilities = expected(rest)
    assert (heard["live"], heard["ready"], heard["models_ready"]) == (True, True, [True] * 3)
    assert heard["versions"] == ["knn", "champion", "2"]
    assert len(heard["answers"]) == (6 if protocol == "http" else 1)
    for answer in heard["answers"]:
        assert (answer["id"], answer["labels"]) == ("mine", labels)
        assert answer["probabilities"] == [pytest.approx(row) for row in probabilities]
    version, column = heard["refusals"]
    assert "Version 9 of 'employees' serves under no alias" in version
    assert "'employees' has no column 'Rank'" in column


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_client_of_kserve_is_answered_in_every_form_that_it_sends(protocol: str, rest: httpx.Client, grpc_service: Service) -> None:
    heard = ask("clients", "kserve_client.py", protocol, server(protocol, rest, grpc_service))

    labels, probabilities = expected(rest)
    assert heard["ready"] == [True] * 3
    version = None if protocol == "http" else "2"  # its HTTP half does not read the version of an answer
    for answer in heard["answers"]:
        assert (answer["id"], answer["version"], answer["labels"]) == ("mine", version, labels)
        assert answer["probabilities"] == [pytest.approx(row) for row in probabilities]


def test_the_scoring_client_of_mlflow_is_answered(rest: httpx.Client) -> None:
    heard = ask("mlflow", "mlflow_scoring.py", address(rest))

    labels, probabilities = expected(rest)
    assert heard["version"].startswith("3.")
    assert heard["predictions"] == [EMPLOYEES.target.classes.index(label) for label in labels]
    assert heard["probabilities"] == [pytest.approx(row) for row in probabilities]
    assert "error code 422" in heard["refusal"]
    assert "row 0, 'Designation': got 9" in heard["refusal"]


def example(name: str, rest: httpx.Client) -> str:
    """A code block of docs/protocols.md, with the addresses of the servers of this test."""
    [block] = re.findall(rf"^```\w+ {name}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert "127.0.0.1:8800" in block
    return str(block).replace("127.0.0.1:8800", address(rest))


@pytest.mark.parametrize("name", ["infer", "matrix", "invocations", "csv"])
def test_the_commands_of_the_page_about_protocols_work(name: str, rest: httpx.Client) -> None:
    ended = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", example(name, rest)], capture_output=True, text=True, timeout=60, check=True
    )

    answer = json.loads(ended.stdout)
    if name in {"invocations", "csv"}:
        assert len(answer["predictions"]) == 1, answer
    else:
        assert answer["outputs"][0]["data"][0] in EMPLOYEES.target.classes, answer


def test_the_snippet_of_the_page_about_protocols_works_over_http_and_grpc(rest: httpx.Client, grpc_service: Service) -> None:
    python = ROOT / ".venvs/clients/bin/python"
    if not python.exists():
        pytest.skip("needs the environment .venvs/clients: make .venvs/clients/.installed")
    over_http = example("tritonclient", rest)
    over_grpc = over_http.replace("tritonclient.http", "tritonclient.grpc").replace(address(rest), grpc_service.address)
    outputs = [
        subprocess.run([str(python), "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout
        for script in (over_http, over_grpc)
    ]

    assert outputs[0] == outputs[1]
    assert any(label in outputs[0] for label in EMPLOYEES.target.classes)
