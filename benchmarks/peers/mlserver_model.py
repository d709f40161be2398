"""MLServer's own scikit-learn runtime, told to answer probabilities; a folder with its settings is written by `write_settings`."""

import json
from pathlib import Path

MODEL = "employees"


def write_settings(folder: Path, pipeline: Path, http_port: int, grpc_port: int, metrics_port: int) -> None:
    """Write the two settings files that `mlserver start` reads: one process, its batching on."""
    settings = {
        "host": "127.0.0.1",
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_port": metrics_port,
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": MODEL,
        "implementation": "mlserver_sklearn.SKLearnModel",
        "max_batch_size": 16,
        "max_batch_time": 0.002,
        "parameters": {"uri": str(pipeline), "content_type": "pd"},
    }
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings), "utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), "utf-8")
