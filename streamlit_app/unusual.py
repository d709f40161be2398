"""What the service says of a record beside its class: the classes that it may be, and whether it is unlike the training data. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamlit_app.service import Json

NOT_KEPT = "not_kept"
"""REST's word for a version that cannot say what a request asks it to include, such as one of an earlier release."""

INCLUDE = ("set,unusual", "unusual", "set", None)
"""What the page asks an answer to include, from the most to the least that a version can say."""


@dataclass(frozen=True)
class Caution:
    """What an answer says beside its class.

    `labels` are the classes that the record may have with the version's confidence, None if the service does not say. `unusual` says
    whether the record is unlike the training data, None if the service does not say; `columns` says in words which values and pairs are.
    """

    labels: tuple[str, ...] | None = None
    unusual: bool | None = None
    score: float | None = None
    columns: tuple[str, ...] = ()


def caution(answer: Json) -> Caution:
    """Read what an answer for one record has of it; a service that knows none of it answers without these fields."""
    labels, unusual = _only(answer.get("set")), _only(answer.get("unusual"))
    if isinstance(labels, str):  # a set of one class, not a list of sets
        labels = answer["set"]
    found = unusual if isinstance(unusual, Mapping) else {}
    return Caution(
        labels=tuple(map(str, labels)) if isinstance(labels, list) else None,
        unusual=bool(found["unusual"]) if "unusual" in found else None,
        score=float(found["score"]) if isinstance(found.get("score"), int | float) else None,
        columns=(*map(_column, found.get("columns") or ()), *map(_together, found.get("combinations") or ())),
    )


def _only(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the entry of the only record, if there is a list of them."""
    return value[0] if isinstance(value, list) and value else value


def _column(column: Json) -> str:
    name, value, low, high, share = (column.get(key) for key in ("name", "value", "low", "high", "share"))
    if value is None:  # a personal column
        return str(name)
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(low, int | float) and isinstance(high, int | float):
        return f"{name}: {shown}, where the train set has {low:g} to {high:g}"
    return f"{name}: {shown}, which {share:.2%} of the train set has" if isinstance(share, float) else f"{name}: {shown}"


def _together(names: list[str]) -> str:
    return f"{' and '.join(names)}: values that are rare together"
