"""What a version was trained on and how it answers on its test set: what windows of its answers are compared with. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from hearth.contracts import Contract
from hearth.data.profile import CategoryProfile, NumericProfile, Profile, category_profile, number_profile
from hearth.monitoring.quality import EstimatedQuality, estimate_quality

PREDICTED_CLASS = "(predicted class)"
CONFIDENCE = "(confidence)"
INCOMPLETE = "(incomplete records)"
OWN_NAMES = (PREDICTED_CLASS, CONFIDENCE, INCOMPLETE)
"""What a check compares beside the features; parentheses keep these apart from names of columns."""


@dataclass(frozen=True)
class Outputs:
    """What a version answers, as profiles: of classes, the predicted class and its probability; of a number, the number.

    Attributes:
        rows: of the test set.
        metric: the contract's metric on the test set, with labels; None if it is not known.
        loss: the mean loss on the test set, from 0 to 1: of classes the share of wrong answers; None if it is not known.
        estimate: the same metric, estimated from the probabilities alone; None for answers without probabilities.
    """

    rows: int
    numbers: Mapping[str, NumericProfile] = field(default_factory=dict)
    categories: Mapping[str, CategoryProfile] = field(default_factory=dict)
    metric: float | None = None
    estimate: EstimatedQuality | None = None
    loss: float | None = None

    def to_json(self) -> bytes:
        """Write it as the store holds it."""
        return _OUTPUTS.dump_json(self)

    @staticmethod
    def from_json(content: bytes | str) -> "Outputs":
        """Read what `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _OUTPUTS.validate_json(content)


_OUTPUTS = TypeAdapter(Outputs)


@dataclass(frozen=True)
class Incomplete:
    """The records of the raw file with more missing features than the contract keeps, of those that it held."""

    rows: int
    of: int


@dataclass(frozen=True)
class Reference:
    """All that a window is compared with."""

    profile: Profile
    outputs: Outputs | None = None
    incomplete: Incomplete | None = None


def output_frame(classes: tuple[str, ...], codes: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return answers as columns: the predicted class by name, and its probability.

    `codes` has the shape (rows,), `probabilities` (rows, classes).
    """
    confidence = probabilities[np.arange(len(codes)), codes]
    return pd.DataFrame({PREDICTED_CLASS: pd.Series(np.array(classes, dtype=object)[codes], dtype="str"), CONFIDENCE: confidence})


def describe_outputs(
    contract: Contract, codes: np.ndarray, probabilities: np.ndarray, metric: float | None, loss: float | None = None
) -> Outputs:
    """Describe the answers of a version on its test set."""
    classes = contract.target.classes
    frame = output_frame(classes, codes, probabilities)
    return Outputs(
        rows=len(frame),
        numbers={CONFIDENCE: number_profile(frame[CONFIDENCE])},
        categories={PREDICTED_CLASS: category_profile(frame[PREDICTED_CLASS], classes)},
        metric=metric,
        estimate=estimate_quality(contract.metric, probabilities),
        loss=loss,
    )
