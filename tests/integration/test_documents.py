"""The commands of README and docs/, run as a person runs them, against services that are really there; answers are those of the pages.

What nobody can run, or another test follows, is in tests/support/documents.py.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import psycopg
import pytest

from deploy import health
from deploy.embedded import temporary_servers
from hearth.fakes import FakeRecords
from hearth.registry import Registry
from tests.support.documents import BLOCKS, Block
from tests.support.guide import ROOT, Copy
from tests.support.published import publish_report
from tests.support.samples import EMPLOYEES
from tests.support.stack import Addresses, Stack, stack_of
from tests.support.waiting import wait_until

COMMANDS = [block for block in BLOCKS if block.is_command]
ANSWERS = {str(block): answer for block, answer in pairwise(BLOCKS) if answer.language == "json" and answer.page == block.page}
PYTHON = [block for block in BLOCKS if block.language == "python" and block.page == "docs/grpc.md"]
SQL = [block for block in BLOCKS if block.language == "sql" and not block.excuse]
_HTTP_ERROR = 22  # curl's exit code for --fail
# A status of 400 or more ends the script, with the body of the error.
_PRELUDE = """set -euo pipefail
curl() { case " $* " in *" -sf "*) command curl "$@" ;; *) command curl --fail-with-body "$@" ;; esac; }
"""


@dataclass(frozen=True)
class Documents:
    """A copy of the checkout with running services; `ports` are those of the pages, and the ones that replace them."""

    copy: Copy
    stack: Stack
    database_url: str
    ports: dict[str, int]

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Run a block in a shell as a person would, after the copy's folder was entered."""
        foreign = ("HEARTH_", "MAKE", "MFLAGS", "PYTHON", "UV_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{self.copy.root}:{os.environ['PATH']}"  # where a person's link to `hearth` is
        script = _PRELUDE + self.translated(block.text)
        return subprocess.run(
            ["/bin/bash", "-c", script],
            cwd=self.copy.root,
            env={
                **inherited,
                **self.stack.settings,
                "PATH": path,
                "HEARTH_API_KEY": "changethis-admin-key",
            },  # as of the stack at its own port
            capture_output=True,
            text=True,
            check=False,
        )

    def translated(self, text: str) -> str:
        """Return a text of a page with the addresses of these services."""
        for port, ours in self.ports.items():
            text = re.sub(rf"(127\.0\.0\.1|localhost):{port}\b", f"127.0.0.1:{ours}", text)
        return text


@pytest.fixture(scope="module")
def documents(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_uri: str,
    postgres_url: str,
    valkey_url: str,
    object_store: temporary_servers.ObjectStore,
) -> Iterator[Documents]:
    copy = Copy(tmp_path_factory.mktemp("documents"))
    frame = FakeRecords.load(EMPLOYEES, ROOT / "data").frame(50, seed=5)
    frame.to_csv(copy.root / "staff.csv", index=False)
    frame.to_parquet(copy.root / "staff.parquet", index=False)
    [record] = FakeRecords.load(EMPLOYEES, ROOT / "data").records(1, seed=5)
    (copy.root / "record.json").write_text(json.dumps(record), "utf-8")
    database_url = temporary_servers.create_database(postgres_url, "documents")
    grpc_metrics, worker_metrics, batches = temporary_servers.free_ports(3)
    more = {
        "HEARTH_GRPC_METRICS_PORT": str(grpc_metrics),
        "HEARTH_WORKER_METRICS_PORT": str(worker_metrics),
        "HEARTH_BATCH_API_PORT": str(batches),
        "HEARTH_BATCH_API_URL": f"http://127.0.0.1:{batches}",
        "HEARTH_S3_ENDPOINT_URL": object_store.endpoint_url,
    }
    register(copy, mlflow_uri)
    with stack_of(copy, "heart", Addresses(mlflow_uri, database_url, valkey_url), more=more) as stack:
        ports = {
            "8800": stack.api_port,
            "50051": stack.grpc_port,
            "50052": grpc_metrics,
            "50053": worker_metrics,
            "8810": batches,
        }
        documents = Documents(copy, stack, database_url, ports)
        challenger = f"http://127.0.0.1:{stack.api_port}/employees/model-info?model=challenger"
        wait_until(lambda: health.http_ok(challenger))  # `hearth agreement` compares what it has seen
        try:
            yield documents
        finally:
            down = Block("", 0, "sh", "", "make down", "")  # of `make up SERVICES=batch-api`
            assert documents.run(down).returncode == 0


def register(copy: Copy, mlflow_uri: str) -> None:
    """Register nine versions of the employees that passed the gate, with a previous champion and a challenger, and those of covertype.

    The data of the employees have a report.
    """
    settings = {"HEARTH_MLFLOW_TRACKING_URI": mlflow_uri, "HEARTH_DATA_DIR": str(ROOT / "data")}
    for dataset in ("employees", "employees", "employees", "covertype"):
        command = [str(ROOT / ".venvs/serve/bin/python"), str(ROOT / "tests/support/register_versions.py"), dataset]
        subprocess.run(command, cwd=copy.root, env={**os.environ, **settings}, check=True, capture_output=True)
    registry = Registry(mlflow_uri)
    publish_report(registry, EMPLOYEES)
    numbers = [version.version for version in registry.versions("employees")]
    for number in numbers:
        registry.annotate(registry.version("employees", number), {"hearth.gate": "passed"})
    registry.set_alias("employees", "previous", numbers[1])
    registry.set_alias("employees", "challenger", numbers[3])  # which no page makes champion: `hearth agreement` compares two


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_the_commands_of_a_page_work_and_give_the_answer_of_the_page(documents: Documents, block: Block) -> None:
    if "jq" in block.text and not shutil.which("jq"):
        pytest.skip("needs jq")
    ended = documents.run(block)

    said = f"{block.text}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    assert ended.returncode == (_HTTP_ERROR if block.status else 0), said
    assert ended.stdout or ("-o scored" in block.text), said
    assert '"errors":[{"message"' not in ended.stdout.replace(" ", ""), said  # GraphQL's errors have the status 200
    if answer := ANSWERS.get(str(block)):
        compare(json.loads(answer.text), json.loads(ended.stdout), exact=bool(block.status), where=str(answer))


def compare(page: object, answer: object, *, exact: bool, where: str) -> None:
    """Require what a page shows of an answer: its names and kinds of values, and of an error the values too. Lists may be shortened."""
    if isinstance(page, dict) and isinstance(answer, dict):
        assert page.keys() <= answer.keys(), where
        for name, value in page.items():
            compare(value, answer[name], exact=exact, where=f"{where} {name}")
    elif isinstance(page, list) and isinstance(answer, list):
        assert len(page) <= len(answer), where
        for number, value in enumerate(page):
            compare(value, answer[number], exact=exact, where=f"{where} {number}")
    elif exact:
        assert answer == page, where
    else:
        assert isinstance(answer, (int, float) if isinstance(page, (int, float)) else type(page)), where


@pytest.mark.parametrize(
    ("page", "answer"),
    [({"a": 1}, {"b": 1}), ({"a": [1, 2]}, {"a": [1]}), ({"a": "text"}, {"a": 1}), ({"a": {"b": None}}, {"a": {}})],
)
def test_an_answer_of_another_form_is_noticed(page: object, answer: object) -> None:
    with pytest.raises(AssertionError, match="page"):
        compare(page, answer, exact=False, where="page")


def test_an_error_with_another_value_is_noticed() -> None:
    compare({"a": [1.5]}, {"a": [2, 3], "more": 1}, exact=False, where="page")
    with pytest.raises(AssertionError, match="page a 0"):
        compare({"a": [1.5]}, {"a": [2, 3]}, exact=True, where="page")


def test_the_python_of_the_page_about_grpc_works(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    records = FakeRecords.load(EMPLOYEES, ROOT / "data").records(3, seed=1)
    namespace: dict[str, object] = {"record": records[0], "records": records}
    assert len(PYTHON) == 2

    for block in PYTHON:
        exec(documents.translated(block.text), namespace)  # noqa: S102 - our own page

    assert [problem.column for problem in namespace["error"].errors] == ["Designation"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("block", SQL, ids=str)
def test_the_sql_of_a_page_works(documents: Documents, block: Block) -> None:
    with psycopg.connect(documents.database_url) as connection:
        connection.execute(block.text.encode())


def test_a_stored_answer_is_found_by_the_id_of_the_page(documents: Documents) -> None:
    """The block with the id runs by itself too; here the answer is waited for."""
    [block] = [block for block in COMMANDS if "X-Request-ID: mine" in block.text]

    wait_until(lambda: '"request_id":"mine.' in documents.run(block).stdout.replace(" ", ""))
