"""What the service says of why a record is predicted as it is."""

from pydantic import BaseModel, Field


class ContributionAnswer(BaseModel):
    """What one column adds to the score of the explained class."""

    column: str
    value: float | int | str | None = Field(description="what the record holds; null: it is missing, and what stands in for it counts here")
    contribution: float = Field(description="in the unit of the explanation; below 0 it speaks against the class")


class ExplanationAnswer(BaseModel):
    """Why one record has the score that it has for one class: `base_value`, all `contributions` and `rest` add up to `score`."""

    row: int = Field(description="position in the request, from 0")
    prediction: int | str = Field(description="the predicted class as the data set's column holds it")
    label: str = Field(description="predicted class")
    probability: float = Field(description="of the explained class")
    probabilities: dict[str, float] = Field(description="of each class, by name")
    explained_class: str = Field(description="the class that is explained")
    unit: str = Field(
        description="what contributions are counted in. 'probability': they add up to it. 'log-odds': they add up to the raw score, which "
        "is the logarithm of the odds where there are two classes, and what softmax turns into probabilities where there are more"
    )
    base_value: float = Field(description="the score of a record of which nothing is known")
    score: float
    contributions: list[ContributionAnswer] = Field(description="the largest first, by size")
    rest: float = Field(description="the sum of those that `top` left out")


class ExplainAnswer(BaseModel):
    """Explanations in the order of the records."""

    explanations: list[ExplanationAnswer]
    method: str = Field(description="how contributions were found")
    dataset: str
    alias: str
    model: str = Field(description="name of the registered model")
    family: str
    version: str
    n_samples: int
    request_id: str
