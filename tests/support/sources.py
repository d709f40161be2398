"""Sources of batches for tests: a data set whose contract names one, the program that stands in for one, and one with scripted answers."""

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import uvicorn
import yaml

from deploy.embedded.temporary_servers import ROOT, free_port
from hearth.contracts import Contract
from hearth.contracts.loading import read_contract
from hearth.settings import BatchApiSettings
from utils.batch_api import create_app


def batch_contract(data_dir: Path, name: str, **changes: object) -> Contract:
    """Write the employees' contract and statistics under another name, with a source that hands out batches."""
    folder = data_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_load((ROOT / "data/employees/contract.yaml").read_text("utf-8"))
    source = {"kind": "batches", "path": f"/{name}", "group_number": 1, "table": name, "file": f"{name}.csv"}
    content |= {"name": name, "source": source, "dags_without_prefix": [], **changes}
    (folder / "contract.yaml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    statistics = json.loads((ROOT / "data/employees/statistics.json").read_text("utf-8"))
    statistics["about"]["dataset"] = name
    (folder / "statistics.json").write_text(json.dumps(statistics), "utf-8")
    return read_contract(folder / "contract.yaml")


@contextlib.contextmanager
def stand_in(contracts: Sequence[Contract], data_dir: Path, *, rows: int = 20, batches: int = 3, seconds: float = 0) -> Iterator[str]:
    """Yield the address of utils/batch_api.py for these data sets."""
    settings = BatchApiSettings(
        data_dir=data_dir,
        batch_api_host="127.0.0.1",
        batch_api_port=free_port(),
        batch_api_rows=rows,
        batch_api_batches=batches,
        batch_api_seconds=seconds,
    )
    config = uvicorn.Config(
        create_app(contracts, settings), host="127.0.0.1", port=settings.batch_api_port, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def start(*arguments: object, **more: object) -> None:
        await startup(*arguments, **more)  # type: ignore[arg-type]  # handed on
        started.set()

    server.startup = start  # type: ignore[method-assign]  # it tells nobody else
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield f"http://127.0.0.1:{settings.batch_api_port}"
    finally:
        server.should_exit = True
        thread.join(30)


@dataclass(frozen=True)
class Answer:
    """What a scripted source says. `claimed` bytes are promised where that is more than the body has; then it hangs up, or stays silent."""

    status: int
    body: bytes
    claimed: int | None = None
    stays_silent: bool = False


def batch_body(group: int, number: int, rows: Sequence[object]) -> bytes:
    return json.dumps({"group_number": group, "batch_number": number, "data": rows}).encode()


@dataclass
class Script:
    """Answers in their order; the last one is repeated; `paths` holds the requested ones."""

    url: str
    answers: list[Answer]
    paths: list[str] = field(default_factory=list)


@contextlib.contextmanager
def scripted(*answers: Answer) -> Iterator[Script]:
    """Yield a source that gives these answers."""
    script, end = Script("", list(answers)), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.paths.append(self.path)
            answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            self.send_response(answer.status)
            self.send_header("Content-Length", str(answer.claimed or len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.stays_silent:
                self.wfile.flush()
                end.wait(60)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield script
        finally:
            end.set()
            server.shutdown()
            thread.join()
