"""Score raw records with a fitted pipeline, for all protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract
from hearth.contracts.examples import extreme_records
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.errors import RefusedModel

_ROWS = 200_000  # features take ten times the memory of the probabilities that come of them


@dataclass(frozen=True)
class Scores:
    """Predictions in the order of the records.

    `codes` has shape (rows,) and holds positions among the classes; `probabilities` has shape (rows, classes). For each class, `classes`
    has its name and `class_codes` what the data set's own column holds for it.
    """

    codes: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]
    class_codes: tuple[str | int, ...]

    @property
    def labels(self) -> list[str]:
        """The predicted classes by name."""
        return [self.classes[code] for code in self.codes]

    @property
    def predictions(self) -> list[str | int]:
        """The predicted classes as the data set's own column holds them."""
        return [self.class_codes[code] for code in self.codes]


def predict_in_parts(pipeline: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    """Return the probabilities of the rows of a frame, float64 of shape (rows, classes); features are made of at most 200,000 at a time."""
    if len(frame) <= _ROWS:
        return np.asarray(pipeline.predict_proba(frame), dtype=np.float64)
    parts = (frame.iloc[start : start + _ROWS] for start in range(0, len(frame), _ROWS))
    return np.concatenate([np.asarray(pipeline.predict_proba(part), dtype=np.float64) for part in parts])


class Scorer:
    """A fitted pipeline with the contract of its records. Threads may share one: scoring changes nothing in it."""

    def __init__(self, pipeline: Pipeline, contract: Contract) -> None:
        self._pipeline = pipeline
        self._contract = contract
        self.parser = RecordParser(contract)
        self._numeric = frozenset(contract.numeric_features)
        self._columns = contract.feature_names
        self._classes = contract.target.classes
        self._class_codes = contract.class_codes

    @property
    def pipeline(self) -> Pipeline:
        """The fitted pipeline, as it was registered."""
        return self._pipeline

    def score(self, records: Sequence[Mapping[str, object]]) -> Scores:
        """Score valid records: each has every feature, and None where a value is missing."""
        return self.score_frame(self._frame(records))

    def score_columns(self, columns: Columns) -> Scores:
        """Score checked columns."""
        return self.score_frame(self.parser.frame(columns))

    def score_frame(self, frame: pd.DataFrame) -> Scores:
        """Score the rows of a frame of raw features, in any column order."""
        # scikit-learn refuses a frame without rows
        probabilities = predict_in_parts(self._pipeline, frame) if len(frame) else np.empty((0, len(self._classes)))
        return Scores(probabilities.argmax(axis=1), probabilities, self._classes, self._class_codes)

    def require_contract(self, where: str) -> None:
        """Score examples of every category and missing value that the contract allows; `where` names the model in errors.

        Raises:
            RefusedModel: the pipeline cannot score them, because it was trained with another contract.
        """
        records = extreme_records(self._contract)
        try:
            shape = self.score(records).probabilities.shape
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedModel(
                f"{where} cannot score what the contract of {self._contract.name!r} allows: {error}. Train again."
            ) from error
        if shape != (len(records), len(self._classes)):
            raise RefusedModel(
                f"{where} knows {shape[1]} classes, the contract of {self._contract.name!r} has {len(self._classes)}. Train again."
            )

    def _frame(self, records: Sequence[Mapping[str, object]]) -> pd.DataFrame:
        columns: dict[str, np.ndarray | pd.Series] = {}
        for name in self._columns:
            values = [record[name] for record in records]
            # numpy reads None as NaN
            columns[name] = np.array(values, dtype=np.float64) if name in self._numeric else pd.Series(values, dtype="str")
        return pd.DataFrame(columns)
