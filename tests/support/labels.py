"""Labels of stored answers."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from hearth.contracts import Contract
from hearth.predictions.label import Label
from hearth.predictions.label_store import LabelStore


def label(contract: Contract, message_id: str, row: int, code: int, observed_at: datetime | None) -> Label:
    """Return a label of one record."""
    return Label(message_id, row, contract.name, code, contract.target.classes[code], observed_at, "test", "rest")


def add_labels(store: LabelStore, contract: Contract, message_id: str, truth: Sequence[int] | np.ndarray, start: datetime) -> datetime:
    """Store a label for each record of a message, observed a millisecond after the other; returns when the last was."""
    at = [start + timedelta(milliseconds=row) for row in range(len(truth))]
    store.add([label(contract, message_id, row, int(code), at[row]) for row, code in enumerate(truth)])
    return at[-1]


def right_labels(codes: np.ndarray, classes: int, wrong: float, seed: int) -> np.ndarray:
    """Return true classes by which a share of the predicted ones, shape (rows,), is wrong."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(codes)) < wrong, (codes + 1) % classes, codes)
