"""The services that are compared: how each is started, the form of its requests, and the meaning of its answers."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib import request

from benchmarks.harness.load import LoadError
from benchmarks.harness.processes import start_program
from benchmarks.harness.requests import Records
from benchmarks.peers import mlserver_model
from deploy.embedded.temporary_servers import ROOT, free_port, free_ports

Body = Callable[[Records], bytes]
Probabilities = Callable[[Any], list[list[float]] | None]


@dataclass(frozen=True)
class Contender:
    """A service. `environment` is a folder of `.venvs`; `command` gets the port."""

    name: str
    environment: str
    command: Callable[[Path, int], list[str]]
    path: str
    body: Body
    probabilities: Probabilities
    settings: Mapping[str, str] = field(default_factory=dict)
    reads_missing: bool = True  # one that does not gets complete records


def plain(records: Records) -> bytes:
    """Return `{"data": [records]}`."""
    return json.dumps({"data": list(records)}, separators=(",", ":")).encode()


def contenders(folder: Path, registry: str, settings: Mapping[str, str]) -> list[Contender]:
    """Return all contenders; `settings` are those of Hearth."""

    def uvicorn(application: str, *more: str) -> Callable[[Path, int], list[str]]:
        common = ["--host", "127.0.0.1", "--no-access-log", "--log-level", "warning"]
        return lambda _, port: ["uvicorn", application, "--port", str(port), *common, *more]

    def hearth(*more: str) -> Callable[[Path, int], list[str]]:
        return lambda _, port: ["hearth_api", "--port", str(port), "--log-level", "warning", *more]

    def mlserver(state: Path, port: int) -> list[str]:
        mlserver_model.write_settings(state, folder / "lightgbm.joblib", port, *free_ports(2))
        return ["mlserver.cli.main", "start", str(state)]

    bench = {"BENCH_FOLDER": str(folder)}
    return [
        Contender("Hearth", "serve", hearth(), "/predict", plain, _hearth, settings),
        Contender(
            "Hearth, two processes",
            "serve",
            hearth("--workers", "2"),
            "/predict",
            plain,
            _hearth,
            settings,
        ),
        Contender("FastAPI, validated echo", "serve", uvicorn("benchmarks.peers.echo:app"), "/predict", plain, lambda _: None, bench),
        Contender("raw ASGI, orjson, booster", "serve", uvicorn("benchmarks.peers.raw_asgi:app"), "/predict", plain, _named, bench),
        Contender("FastAPI, pandas, pipeline", "serve", uvicorn("benchmarks.peers.pandas_fastapi:app"), "/predict", plain, _named, bench),
        Contender(
            "mlflow models serve",
            "bench-mlflow",
            lambda _, port: [
                *("mlflow", "models", "serve", "--model-uri", "models:/employees@lightgbm", "--env-manager", "local"),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            ],
            "/invocations",
            _mlflow_body,
            lambda answer: answer["predictions"],
            {"MLFLOW_TRACKING_URI": registry, "PATH": f"{ROOT}/.venvs/bench-mlflow/bin:{os.environ['PATH']}"},
        ),
        Contender("MLServer, batching", "bench-mlserver", mlserver, _MLSERVER_PATH, _mlserver_body, _mlserver_answer, reads_missing=False),
        Contender(
            "BentoML, batching",
            "bench-bentoml",
            lambda _, port: ["bentoml", "serve", "benchmarks.peers.bentoml_service:Pipeline", "--host", "127.0.0.1", "--port", str(port)],
            "/predict",
            plain,
            lambda answer: answer,
            {**bench, "BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(folder / "bentoml")},
        ),
        Contender(
            "LitServe, batching",
            "bench-litserve",
            lambda _, port: ["benchmarks.peers.litserve_server", str(port)],
            "/predict",
            plain,
            _named,
            bench,
        ),
    ]


@contextlib.contextmanager
def running(contender: Contender, sample: Records) -> Iterator["Running"]:
    """Start a contender and wait until it answers a request for predictions; its whole process group is stopped at the end.

    Raises:
        LoadError: it ended, or did not answer in time; the message has the end of its log.
    """
    python = ROOT / ".venvs" / contender.environment / "bin/python"
    if not python.exists():
        raise LoadError(f"{contender.name}: {python} does not exist: run `make bench-serving`, which installs it.")
    port = free_port()
    service = Running(contender, f"http://127.0.0.1:{port}{contender.path}")

    def answers() -> bool:
        with contextlib.suppress(OSError):
            service.ask(sample)
            return True
        return False

    with tempfile.TemporaryDirectory(prefix="hearth-bench-", ignore_cleanup_errors=True) as state:
        command = [str(python), "-m", *contender.command(Path(state), port)]
        with start_program(contender.name, command, contender.settings, answers) as (service.pid, service.ready_seconds):
            yield service


class Running:
    """A contender that answers."""

    def __init__(self, contender: Contender, url: str) -> None:
        self.contender, self.url = contender, url
        self.pid, self.ready_seconds = 0, 0.0

    def ask(self, records: Records) -> list[list[float]] | None:
        """Return the probabilities for the records; None if the contender makes none.

        Raises:
            OSError: it does not answer, or not with a success.
        """
        headers = {"content-type": "application/json"}
        with request.urlopen(request.Request(self.url, self.contender.body(records), headers), timeout=30) as answer:  # noqa: S310 - our own
            return self.contender.probabilities(json.load(answer))


def _named(answer: dict[str, list[list[float]]]) -> list[list[float]]:
    return answer["probabilities"]


def _hearth(answer: dict[str, list[dict[str, float]]]) -> list[list[float]]:
    return [list(row.values()) for row in answer["probabilities"]]


def _mlflow_body(records: Records) -> bytes:
    floats = [{name: float(value) if isinstance(value, int) else value for name, value in record.items()} for record in records]
    return json.dumps({"dataframe_records": floats}, separators=(",", ":")).encode()


_MLSERVER_PATH = f"/v2/models/{mlserver_model.MODEL}/infer"


def _mlserver_body(records: Records) -> bytes:
    """Return columns, as the Open Inference Protocol has them."""
    inputs = []
    for name, first in records[0].items():
        values = [record[name] for record in records]
        kind = "BYTES" if isinstance(first, str) else "FP64"
        inputs.append({"name": name, "shape": [len(values), 1], "datatype": kind, "data": values})
    body = {"inputs": inputs, "parameters": {"content_type": "pd"}, "outputs": [{"name": "predict_proba"}]}
    return json.dumps(body, separators=(",", ":")).encode()


def _mlserver_answer(answer: dict[str, Any]) -> list[list[float]]:
    (output,) = answer["outputs"]
    rows, classes = output["shape"]
    flat = output["data"]
    return [flat[row * classes : (row + 1) * classes] for row in range(rows)]
