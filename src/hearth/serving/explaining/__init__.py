"""Why a record is predicted as it is: what each of its columns adds to the score of a class."""

from hearth.serving.explaining.explainers import ALL_CLASSES, Explainers
from hearth.serving.explaining.model import Contribution, Explanation, Unit

__all__ = ["ALL_CLASSES", "Contribution", "Explainers", "Explanation", "Unit"]
