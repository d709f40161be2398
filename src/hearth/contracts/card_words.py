"""The words of a contract about its model cards: what no measurement can say of a version."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hearth.contracts.column_types import Part

Area = Literal["none", "employment", "education", "essential_services", "medical"]
"""What decisions predictions are for, as far as law has rules of its own for it."""

_LONGEST, _MOST = 2_000, 20


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1, max_length=_LONGEST)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(max_length=_MOST)]


class CardWords(Part):
    """What people say of the models of a data set; each word is optional, and the card says which ones are missing."""

    intended_use: Text | None = Field(None, description="what predictions are for")
    not_for: Texts = Field((), description="what they must not be used for: a text or a list")
    oversight: Text | None = Field(None, description="who looks at predictions before something happens, and how")
    limits: Texts = Field((), description="known limits beside those that are measured")
    source: Text | None = Field(None, description="who has collected the rows, and how")
    period: Text | None = Field(None, description="the time that the rows are of")
    licence: Text | None = Field(None, description="of the data, and of models that are made from them")
    contact: Text | None = Field(None, description="who answers questions")
    people: bool | None = Field(None, description="whether rows are about people; by default if a column is sensitive or personal")
    area: Area = Field("none", description="the area of decisions whose law the card names")
