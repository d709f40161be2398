"""BentoML with its batching on. `bentoml serve benchmarks.peers.bentoml_service:Pipeline`."""

import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, traffic={"timeout": 60})
class Pipeline:
    """The pipeline of scikit-learn behind BentoML."""

    def __init__(self) -> None:
        self._pipeline = joblib.load(Path(os.environ["BENCH_FOLDER"], "lightgbm.joblib"))

    @bentoml.api(batchable=True, max_batch_size=10_000, max_latency_ms=30_000)
    def predict(self, data: list[dict[str, Any]]) -> list[list[float]]:
        return self._pipeline.predict_proba(pd.DataFrame(data)).tolist()  # type: ignore[no-any-return]
