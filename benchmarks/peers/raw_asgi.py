"""The least that can answer: orjson, numpy and the booster on one thread. No framework, no check of a record, no name of a class.

`uvicorn benchmarks.peers.raw_asgi:app`
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
from lightgbm import Booster

from hearth.contracts import load_contract
from hearth.contracts.record_parser import Columns
from hearth.serving.compiled.preprocessing import CompiledFeatures

_contract = load_contract("employees", Path("data"))
_pipeline = joblib.load(Path(os.environ["BENCH_FOLDER"], "lightgbm.joblib"))
_features = CompiledFeatures(_pipeline["features"])
_booster: Booster = _pipeline["model"].booster_
_numeric = _contract.numeric_features
_codes = [(name, {category: code for code, category in enumerate(texts)}) for name, texts in _contract.categorical_features.items()]


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Answer every request as one for predictions."""
    if scope["type"] != "http":
        return
    content = b""
    more = True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    answer = orjson.dumps({"probabilities": _predict(orjson.loads(content)["data"]).tolist()})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _predict(records: list[dict[str, Any]]) -> np.ndarray:
    numbers = np.array([[record[name] for name in _numeric] for record in records], dtype=np.float64)  # None becomes NaN
    codes = np.array([[codes[record[name]] for name, codes in _codes] for record in records], dtype=np.intp)
    return np.asarray(_booster.predict(_features(Columns(numbers, codes)), num_threads=1))
