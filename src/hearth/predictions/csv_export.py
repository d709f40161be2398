"""Predictions as CSV: timestamp, model, prediction, data, trace_id."""

import csv
from collections.abc import Iterable
from datetime import UTC
from typing import TextIO

from pydantic_core import to_json

from hearth.predictions.prediction import Prediction

HEADER = ("timestamp", "model", "prediction", "data", "trace_id")


def write_csv(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Write a header and a line for each prediction; return the number of predictions."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    count = 0
    for count, prediction in enumerate(predictions, start=1):  # noqa: B007 - counts the items of an iterator
        model = f"{prediction.dataset}@{prediction.alias} v{prediction.version}"
        record = to_json(prediction.record).decode()
        writer.writerow((prediction.scored_at.astimezone(UTC).isoformat(), model, prediction.label, record, prediction.trace_id))
    return count
