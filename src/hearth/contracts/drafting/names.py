"""Names that the contract, the services and MLflow accept, made from the names of a file."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from hearth.contracts.names import RESERVED_DATASETS, class_metric_names, field_name, unusable

_MOST_LETTERS = 80
_UNIT = re.compile(r"(.*\S)\s*[(\[]([^()\[\]]+)[)\]]")
_PLAIN = re.compile(r"[A-Za-z0-9_. :-]+")
_OTHER = re.compile(r"[^A-Za-z0-9_. :-]+")


def dataset_name(text: str) -> str:
    """Turn a file's name into that of a data set: lower case, digits and underscores, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "_", Path(text).stem.lower()).strip("_")[:_MOST_LETTERS].strip("_")
    name = name if re.match("[a-z]", name) else f"data_{name}".strip("_")
    return f"{name}_data" if name in RESERVED_DATASETS else name


def is_dataset_name(name: str) -> bool:
    """Whether a data set can have this name; the names of routes cannot be one."""
    return re.fullmatch("[a-z][a-z0-9_]*", name) is not None and name not in RESERVED_DATASETS


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
        while field_name(unique) in used:
            number += 1
            unique = f"{name} {number}"
        used.add(field_name(unique))
        names.append(unique)
    return names


def class_names(categories: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each class: the category, or `class 2` for all where a contract could not have one of the categories as a name."""
    try:
        class_metric_names(categories)
    except ValueError:
        return _numbered(categories)
    return _numbered(categories) if any(map(unusable, categories)) else tuple(categories)


def _numbered(categories: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"class {number}" for number, _ in enumerate(categories, 1))


def _plain(cell: str) -> str:
    """Return a name that MLflow and SQL take as it is, or nothing if no letter or digit is left."""
    name = " ".join(cell.split())
    if not _PLAIN.fullmatch(name):
        name = " ".join(_OTHER.sub(" ", _ascii(split_unit(name)[0])).split())
    return name[:_MOST_LETTERS].strip() if re.search("[A-Za-z0-9]", name) else ""


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
