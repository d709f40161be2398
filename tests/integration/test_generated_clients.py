"""Clients that generators make from /openapi.json without a patch: TypeScript's compiles, and Python's calls the service."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hearth_api.app import create_app
from tests.api.running import PAGE_KEY, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / ".venvs" / "clients"
_INSTALL_SECONDS = 150
TYPESCRIPT = ("openapi-typescript@7.13.0", "typescript@5.9.3")
CALLS = """
import json, sys
from generated import AuthenticatedClient
from generated.api.explanations import explain
from generated.api.models import list_models
from generated.api.predictions import predict, predict_employees
from generated.models import EmployeesExplainRecordsRequest, EmployeesRecord, EmployeesRecordsRequest, ErrorBody, PredictEmployeesModel

record = EmployeesRecord.from_dict(json.loads(sys.argv[2]))
with AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[3]) as client:
    body = EmployeesRecordsRequest(data=[record])
    print(predict.sync(client=client, body=body).version, predict.sync(client=client, body=body).label)
    print(predict_employees.sync(client=client, body=body, model=PredictEmployeesModel.KNN).version)
    print([dataset.dataset for dataset in list_models.sync(client=client).datasets])
    refused = explain.sync(client=client, body=EmployeesExplainRecordsRequest(data=[record]), class_="nobody")
    print(isinstance(refused, ErrorBody), refused.error)
"""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(api_require_key=True), FakeRegistry(knn="1", champion="2"), checks={})) as client:
        yield client


@pytest.fixture
def document(client: httpx.Client, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_bytes(client.get("/openapi.json").content)
    return path


def test_openapi_python_client_generates_a_client_that_works(client: httpx.Client, document: Path) -> None:
    subprocess.run([shutil.which("make") or "make", "--silent", ".venvs/clients/.installed"], cwd=ROOT, check=True)
    package, environment = document.with_name("generated"), {**os.environ, "PATH": f"{CLIENTS / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    command = ["openapi-python-client", "generate", "--path", str(document), "--output-path", str(package), "--meta", "none"]
    generated = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert generated.returncode == 0, generated.stdout + generated.stderr
    warnings = re.findall(r"(WARNING parsing .*|Unable to .*|ERROR.*)\n+(.*)", generated.stdout + generated.stderr)
    # The generator knows neither Parquet nor the text/csv that MLflow's protocol takes beside JSON; it leaves out these two alone.
    assert {heading.split()[3] for heading, _ in warnings} == {
        path for path in json.loads(document.read_text())["paths"] if "/parquet" in path or path == "/invocations"
    }
    assert all(
        re.search(r"[Uu]nsupported content[_ ]type:? (application/vnd\.apache\.parquet|text/csv)", reason) for _, reason in warnings
    ), warnings

    script = document.with_name("calls.py")
    script.write_text(CALLS)
    record = json.dumps(good_record(employees(), Designation=4))
    command = [str(CLIENTS / "bin" / "python"), str(script), str(client.base_url), record, PAGE_KEY]
    called = subprocess.run(command, cwd=document.parent, capture_output=True, text=True, check=False)
    assert called.returncode == 0, called.stderr
    assert called.stdout.splitlines() == ["2 High", "1", "['covertype', 'employees', 'heart']", "True unknown_class"]


def test_openapi_typescript_generates_types_that_compile(document: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm: apt-get install npm, or brew install node")
    folder = ROOT / ".venvs" / "typescript"
    programs = folder / "node_modules" / ".bin"
    if not all((programs / name).exists() for name in ("openapi-typescript", "tsc")):
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *TYPESCRIPT]
        try:
            installed = subprocess.run(install, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install openapi-typescript within {_INSTALL_SECONDS} s: is its registry out of reach?")
        if installed.returncode != 0:
            pytest.skip(f"npm cannot install openapi-typescript: {installed.stderr.strip()[-300:]}")
    types, check = document.with_name("hearth.ts"), document.with_name("check.ts")

    subprocess.run([programs / "openapi-typescript", str(document), "--output", str(types)], check=True, capture_output=True)
    check.write_text(
        'import type { components, operations } from "./hearth";\n'
        'const alias: NonNullable<operations["predict_heart"]["parameters"]["query"]>["model"] = "champion";\n'
        'const label: components["schemas"]["PredictionAnswer"]["labels"] = ["High"];\n'
        "export { alias, label };\n"
    )
    for content in (None, 'import type { operations } from "./hearth";\nexport const id: keyof operations = "no_such_operation";\n'):
        if content is not None:
            check.write_text(content)
        compiled = subprocess.run([programs / "tsc", "--noEmit", "--strict", str(check)], capture_output=True, text=True, check=False)
        assert (compiled.returncode == 0) is (content is None), compiled.stdout
