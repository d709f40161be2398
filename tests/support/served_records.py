"""Records that a version has answered, stored as the services store them."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from hearth.contracts import Contract
from hearth.predictions import Prediction, PredictionStore

Record = Mapping[str, object]


def store_answers(  # noqa: PLR0913, PLR0917 - what an answer is made of
    store: PredictionStore,
    contract: Contract,
    version: str,
    records: Sequence[Record],
    probabilities: np.ndarray,
    start: datetime,
    role: str = "answer",
) -> datetime:
    """Store an answer for each record, a millisecond after the other; return the time of the last."""
    codes, at = probabilities.argmax(axis=1), start
    predictions = []
    for row, (record, own) in enumerate(zip(records, probabilities.tolist(), strict=True)):
        at = start + timedelta(milliseconds=row)
        code = int(codes[row])
        predictions.append(
            Prediction(
                message_id=f"{start.timestamp():.3f}",
                row=row,
                dataset=contract.name,
                alias="champion",
                version=version,
                family="logistic_regression",
                code=code,
                label=contract.target.classes[code],
                probabilities=tuple(own),
                record=dict(record),
                enqueued_at=None,
                scored_at=at,
            )
        )
    store.put([dataclasses.replace(prediction, role=role) for prediction in predictions])
    return at
