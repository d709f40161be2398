"""The words of a contract about probabilities: how they are calibrated, and the level of the sets of classes."""

from typing import Literal

from pydantic import Field

from hearth.contracts.column_types import Number, Part

CalibrationWord = Literal["auto", "none", "isotonic", "sigmoid", "temperature"]


class Sets(Part):
    """Sets of classes that hold the true one as often as `level` says, in each class."""

    level: Number = Field(0.9, ge=0.5, lt=1, description="share of records whose set holds the true class")
