"""What was predicted, for which record, by which version: one PostgreSQL table, keyed by message and row."""

from hearth.predictions.store import Prediction, PredictionStore

__all__ = ["Prediction", "PredictionStore"]
