"""FastAPI, a data frame and the scikit-learn pipeline, as most tutorials have it. `uvicorn benchmarks.peers.pandas_fastapi:app`."""

import os
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel


class Body(BaseModel):
    """A request."""

    data: list[dict[str, Any]]


app = FastAPI()
_pipeline = joblib.load(Path(os.environ["BENCH_FOLDER"], "lightgbm.joblib"))


@app.post("/predict")
def predict(body: Body) -> dict[str, object]:
    return {"probabilities": _pipeline.predict_proba(pd.DataFrame(body.data)).tolist()}
