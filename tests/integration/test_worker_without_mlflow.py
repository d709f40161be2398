"""A real MLflow, stopped and started while the stream worker works: what is loaded serves on, and a moved alias is followed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from deploy.embedded import temporary_servers
from hearth.modelling.features import build_features
from hearth.registry import NewVersion, Registry
from tests.support.models import DATA
from tests.support.samples import sample_rows
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.support.worker_bench import CONTRACT, Bench, record

AWAY, BACK = "keeps serving", "the registry answers again"


@pytest.fixture(scope="module")
def mlflow() -> Iterator[temporary_servers.Server]:
    """One that may be stopped, unlike the one that all tests share; the champion of employees is the first of two versions."""
    with temporary_servers.mlflow_server() as server:
        registry = Registry(server.url, revision="0123456789abcdef")
        X, y = sample_rows(CONTRACT, 200)
        X = X[list(CONTRACT.feature_names)].astype(dict.fromkeys(CONTRACT.numeric_features, np.float64))
        for neighbors in (3, 5):
            model = KNeighborsClassifier(n_neighbors=neighbors)
            registry.register(
                NewVersion(
                    dataset=CONTRACT.name,
                    family="knn",
                    digest="0011223344556677",
                    training_key=f"{neighbors}",
                    pipeline=Pipeline([("features", build_features(CONTRACT)), ("model", model)]).fit(X, y),
                    example=X.head(5),
                    params={},
                    metrics={},
                    pictures={},
                )
            )
        registry.set_alias(CONTRACT.name, "champion", "1")
        yield server


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_mlflow_stopped_while_a_worker_works_costs_nothing_and_a_moved_alias_is_followed_when_it_is_back(
    bench: Bench, mlflow: temporary_servers.Server, tmp_path: Path, how: signal.Signals
) -> None:
    Registry(mlflow.url).set_alias(CONTRACT.name, "champion", "1")
    data_dir = tmp_path / "data"
    shutil.copytree(DATA / CONTRACT.name, data_dir / CONTRACT.name)
    settings = bench.environment(mlflow_tracking_uri=mlflow.url, alias_poll_seconds=0.1, data_dir=data_dir)
    environment = {**os.environ, **settings, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}  # so that there are many tries in a short time
    log = tmp_path / "log"

    def lines(part: str) -> list[str]:
        return [line for line in log.read_text().splitlines() if part in line]

    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-P", "-m", "hearth.streaming.worker"], cwd=tmp_path, env=environment, stderr=file)
    try:
        sent = [[bench.send(record(number % 6)) for number in range(20)]]
        wait_until(lambda: bench.count() == 20)

        mlflow.stop(how)
        try:
            wait_until(lambda: bool(lines(AWAY)))
            for _ in range(10):  # each longer than the worker waits between two tries
                sent.append([bench.send(record(number % 6)) for number in range(20)])
                wait_until(lambda: bench.count() == 20 * len(sent))
                time.sleep(0.3)
            assert bench.settled()
        finally:
            mlflow.start()

        wait_until(lambda: bool(lines(BACK)))
        Registry(mlflow.url).set_alias(CONTRACT.name, "champion", "2")
        wait_until(lambda: bool(lines("version 2 (knn) serves")))
        last = [bench.send(record())]
        wait_until(lambda: bench.count() == 20 * len(sent) + 1)
    finally:
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 0

    versions = {found.message_id: found.version for found in bench.stored()}
    assert versions == {**{id_: "1" for ids in sent for id_ in ids}, last[0]: "2"}
    assert (len(lines(AWAY)), len(lines(BACK))) == (1, 1), log.read_text()
    expected = f"{AWAY}|is being loaded"  # messages may come before the first model, which is loaded while they wait
    about = [line for line in log.read_text().splitlines() if re.search("WARNING|ERROR|CRITICAL", line) and not re.search(expected, line)]
    assert about == []
