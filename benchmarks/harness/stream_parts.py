"""Parts of a stream worker alone, and workers as they are often written, without a database, each timed in a process of its own.

python -m benchmarks.harness.stream_parts PART --url … --registry … --model … --messages …: prints messages of one record a second.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn
from uuid import uuid4

import joblib
import mlflow.pyfunc
import pandas as pd
import typer

from benchmarks.harness.stream_messages import batches, employees
from deploy.embedded.temporary_servers import ROOT
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.contracts.aliases import CHAMPION
from hearth.registry import Registry
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.streaming.client import StreamWriter
from hearth.streaming.consumer import StreamConsumer
from hearth.streaming.messages import read_records

SEND, READ, PREDICT_PROBA, PYFUNC, ONE, LOAD = "send", "read", "predict_proba", "pyfunc", "one", "load"
_BATCH_MESSAGES = 500
_WITHOUT_HIREDIS = "import sys; sys.modules['hiredis'] = None; from benchmarks.harness.stream_parts import run; run()"
Score = Callable[[Sequence[object]], object]


def timed(part: str, url: str, registry: str, model: Path, messages: int, *, hiredis: bool = True) -> float:  # noqa: PLR0913 - the options of the program
    """Return the messages a second of a part, timed in a process of its own."""
    begin = ["-m", "benchmarks.harness.stream_parts"] if hiredis else ["-c", _WITHOUT_HIREDIS]
    options = ["--url", url, "--registry", registry, "--model", str(model), "--messages", str(messages)]
    process = subprocess.run([sys.executable, *begin, part, *options], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return float(process.stdout)


def main(
    part: str,
    url: Annotated[str, typer.Option()],
    registry: Annotated[str, typer.Option()],
    model: Annotated[Path, typer.Option()],
    messages: Annotated[int, values.whole("Messages of one record.")],
) -> None:
    """Time one part and print how many messages a second it does."""
    name = f"bench-{uuid4().hex}"
    with StreamWriter(url, name) as writer, StreamConsumer(url, name, "workers", "one", 1_000) as reader:
        message_batches = list(batches(messages, 1, _BATCH_MESSAGES))
        start = time.perf_counter()
        for batch in message_batches:
            writer.send(batch)
        seconds = time.perf_counter() - start
        reader.join()
        if part != SEND:
            at_once = 1 if part in {ONE, LOAD} else _BATCH_MESSAGES
            seconds = _read(reader, messages, at_once, _score(part, registry, model))
    print(messages / seconds)


def _read(reader: StreamConsumer, messages: int, at_once: int, score: Score) -> float:
    count, start = 0, time.perf_counter()
    while count < messages:
        entries = reader.read(at_once, 1_000)
        score([record for entry in entries for record in read_records(entry)])
        reader.acknowledge([entry.id for entry in entries])
        count += len(entries)
    return time.perf_counter() - start


def _score(part: str, registry: str, model: Path) -> Score:
    contract = employees()
    if part == READ:
        scorer = CompiledScorer(joblib.load(model), contract)
        return lambda records: scorer.score_columns(scorer.parser.parse(records))
    kinds = dict.fromkeys(contract.numeric_features, "float64")
    if part == LOAD:
        source = Registry(registry)
        return lambda records: source.load(source.version(contract.name, CHAMPION)).predict_proba(pd.DataFrame(records).astype(kinds))
    if part == PYFUNC:
        mlflow.set_tracking_uri(registry)
        loaded = mlflow.pyfunc.load_model(f"models:/{contract.name}@{CHAMPION}")
        return lambda records: loaded.predict(pd.DataFrame(records).astype(kinds))
    pipeline = joblib.load(model)
    return lambda records: pipeline.predict_proba(pd.DataFrame(records).astype(kinds))


def run() -> NoReturn:
    """Run the program."""
    run_program(main)


if __name__ == "__main__":
    run()
