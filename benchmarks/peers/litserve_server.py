"""LitServe with its batching on. `python -m benchmarks.peers.litserve_server PORT`."""

import os
import sys
from pathlib import Path
from typing import Any

import joblib
import litserve
import pandas as pd

Records = list[dict[str, Any]]


class Pipeline(litserve.LitAPI):
    """The pipeline of scikit-learn behind LitServe."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - its interface
        self._pipeline = joblib.load(Path(os.environ["BENCH_FOLDER"], "lightgbm.joblib"))

    def decode_request(self, request: dict[str, Records]) -> Records:
        return request["data"]

    def batch(self, inputs: list[Records]) -> tuple[pd.DataFrame, list[int]]:
        return pd.DataFrame([record for records in inputs for record in records]), [len(records) for records in inputs]

    def predict(self, x: tuple[pd.DataFrame, list[int]]) -> list[list[list[float]]]:
        frame, sizes = x
        rows = iter(self._pipeline.predict_proba(frame).tolist())
        return [[next(rows) for _ in range(size)] for size in sizes]

    def unbatch(self, output: list[list[list[float]]]) -> list[list[list[float]]]:
        return output

    def encode_response(self, output: list[list[float]]) -> dict[str, list[list[float]]]:
        return {"probabilities": output}


if __name__ == "__main__":
    api = Pipeline(max_batch_size=16, batch_timeout=0.002)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False
    )
