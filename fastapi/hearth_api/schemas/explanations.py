"""Explanations of predictions."""

from pydantic import BaseModel, Field


class ContributionAnswer(BaseModel):
    """What one column adds to the score of the explained class."""

    column: str
    value: float | int | str | None = Field(description="value in the record; null if missing: the imputed value contributes")
    contribution: float = Field(description="in the unit of the explanation; negative: against the class")


class ExplanationAnswer(BaseModel):
    """The score of one record for one class: `base_value`, all `contributions` and `rest` add up to `score`."""

    row: int = Field(description="position in the request, from 0")
    prediction: int | str = Field(description="the predicted class as the data set's column holds it")
    label: str = Field(description="predicted class")
    probability: float = Field(description="of the explained class")
    probabilities: dict[str, float] = Field(description="of each class, by name")
    explained_class: str = Field(description="the class that is explained")
    unit: str = Field(
        description="unit of the contributions. 'probability': they add up to the probability. 'log-odds': they add up to the raw score, "
        "which is the logarithm of the odds for two classes, and the input of softmax for more"
    )
    base_value: float = Field(description="the score of a record whose values are all unknown")
    score: float
    contributions: list[ContributionAnswer] = Field(description="by absolute size, the largest first")
    rest: float = Field(description="the sum of the contributions that `top` leaves out")


class ExplainAnswer(BaseModel):
    """Explanations in the order of the records."""

    explanations: list[ExplanationAnswer]
    method: str = Field(description="the method that computes contributions")
    dataset: str
    alias: str
    model: str = Field(description="name of the registered model")
    family: str
    version: str
    n_samples: int
    request_id: str
