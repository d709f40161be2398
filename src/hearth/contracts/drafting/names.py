"""Names that the contract, the services and MLflow accept, made from the names of a file."""

import keyword
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from hearth.contracts.column_types import field_name

_RESERVED = frozenset(
    {"all", "datasets", "docs", "graphql", "health", "metrics", "model", "models", "predict", "predictions", "ready", "stream", "v2"}
)
_MOST_LETTERS = 80
_UNIT = re.compile(r"(.*\S)\s*[(\[]([^()\[\]]+)[)\]]")
_PLAIN = re.compile(r"[A-Za-z0-9_. :-]+")
_OTHER = re.compile(r"[^A-Za-z0-9_. :-]+")


def dataset_name(text: str) -> str:
    """Turn a file's name into that of a data set: lower case, digits and underscores, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "_", Path(text).stem.lower()).strip("_")[:_MOST_LETTERS].strip("_")
    name = name if re.match("[a-z]", name) else f"data_{name}".strip("_")
    return f"{name}_data" if name in _RESERVED else name


def is_dataset_name(name: str) -> bool:
    """Whether a data set can have this name; the names of routes cannot be one."""
    return re.fullmatch("[a-z][a-z0-9_]*", name) is not None and name not in _RESERVED


def split_unit(name: str) -> tuple[str, str]:
    """Return name and unit of `petal length (cm)`; without brackets at the end the unit is empty."""
    parts = _UNIT.fullmatch(name)
    return (parts[1], parts[2].strip()) if parts else (name, "")


def column_names(header: Iterable[str]) -> list[str]:
    """Return a name for each column of a file: no empty ones, none twice, plain letters, and different in code as well."""
    names: list[str] = []
    used: set[str] = set()
    for position, cell in enumerate(header, 1):
        name = _plain(cell) or f"column {position}"
        unique, number = name, 1
        while _code_name(unique) in used:
            number += 1
            unique = f"{name} {number}"
        used.add(_code_name(unique))
        names.append(unique)
    return names


def feature_name(name: str) -> str:
    """Return a name that a feature can have: GraphQL inputs are Python classes, whose fields cannot be called `class` or `from`."""
    return f"{name} value" if keyword.iskeyword(field_name(name)) else name


def _plain(cell: str) -> str:
    """Return a name that MLflow accepts for a metric and GraphQL for a field, or nothing if no letter or digit is left."""
    name = " ".join(cell.split())
    if not _PLAIN.fullmatch(name):
        name = " ".join(_OTHER.sub(" ", _ascii(split_unit(name)[0])).split())
    return name[:_MOST_LETTERS].strip() if re.search("[A-Za-z0-9]", name) else ""


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()


def _code_name(name: str) -> str:
    """Return what a name becomes in GraphQL, where an underscore only makes the next letter a capital."""
    return field_name(name).replace("_", "")
