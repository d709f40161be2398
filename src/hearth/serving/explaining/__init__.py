"""Explanations of predictions: what each column of a record adds to the score of a class."""

from hearth.serving.explaining.explainers import ALL_CLASSES, Explainers
from hearth.serving.explaining.model import Contribution, Explanation, Unit

__all__ = ["ALL_CLASSES", "Contribution", "Explainers", "Explanation", "Unit"]
