"""Predictions as the CSV file that people know: timestamp, model, prediction, data."""

import csv
from collections.abc import Iterable
from datetime import UTC
from typing import TextIO

from pydantic_core import to_json

from hearth.predictions.prediction import Prediction

HEADER = ("timestamp", "model", "prediction", "data")


def write_csv(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Write the header and one line a prediction; return the number of predictions."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    count = 0
    for count, given in enumerate(predictions, start=1):  # noqa: B007 - counts what an iterator gives
        model = f"{given.dataset}@{given.alias} v{given.version}"
        writer.writerow((given.scored_at.astimezone(UTC).isoformat(), model, given.label, to_json(given.record).decode()))
    return count
