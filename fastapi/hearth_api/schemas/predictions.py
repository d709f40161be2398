"""Predictions for the records of a request."""

from pydantic import BaseModel, Field


class UnusualColumnAnswer(BaseModel):
    """A value that the train set does not have, or a category that it hardly has; of a personal column all but the name is null."""

    name: str
    value: float | str | None = Field(description="as it was sent; null for a personal column")
    low: float | None = Field(description="the lowest value of the train set; null for a category and a personal column")
    high: float | None = Field(description="the highest value of the train set; null for a category and a personal column")
    share: float | None = Field(description="share of the train set that has the category; null for a number and a personal column")


class UnusualAnswer(BaseModel):
    """How unlike the train set of the version a record is."""

    score: float = Field(description="share of the train set that is less unusual, 0 to 1")
    unusual: bool = Field(description="whether the record is beyond nearly all of the train set: about 1 in 200 ordinary records is")
    columns: list[UnusualColumnAnswer] = Field(description="values outside the range seen, and rare categories")
    combinations: list[list[str]] = Field(description="pairs of columns whose values are rare together; only of an unusual record")


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
    sets: list[list[str]] | None = Field(None, description="with include=set: for each record the classes that it may have")
    set: list[str] | None = Field(None, description="with include=set: the same, if there is one record")
    canary: bool | None = Field(None, description="true if a candidate answered in the champion's place; else absent")
    unusual_records: list[UnusualAnswer] | None = Field(None, description="with include=unusual: for each record how unusual it is")
    unusual: UnusualAnswer | None = Field(None, description="with include=unusual: the same, if there is one record")
