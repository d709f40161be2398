"""The predictions store: one PostgreSQL table of predictions, keyed by message, row and role."""

from hearth.predictions.prediction import Cursor, Prediction, class_values
from hearth.predictions.rows import PredictionBlock, StoredParts
from hearth.predictions.store import PredictionStore

__all__ = ["Cursor", "Prediction", "PredictionBlock", "PredictionStore", "StoredParts", "class_values"]
