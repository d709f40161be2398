"""Predictions for the records of a request."""

from pydantic import BaseModel, Field


class PredictionAnswer(BaseModel):
    """Predictions in the order of the records."""

    predictions: list[int | str] = Field(description="values of the target column; positions where classes are ranges of a number")
    labels: list[str] = Field(description="class names")
    probabilities: list[dict[str, float]] = Field(description="of each class, by name")
    prediction: int | str | None = Field(description="the class as the column holds it, if there is one record")
    label: str | None = Field(description="the class name, if there is one record")
    probability: float | None = Field(description="of the predicted class, if there is one record")
    dataset: str
    alias: str = Field(description="the requested alias")
    model: str = Field(description="name of the registered model")
    version: str = Field(description="the version that answered")
    model_version: str = Field(description="the same as version")
    family: str
    n_samples: int = Field(description="number of records")
    request_id: str = Field(description="also in the header X-Request-ID")
