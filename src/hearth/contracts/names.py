"""What the names of data sets, columns and classes become elsewhere: each derived name is made here, and nowhere else.

| from | to | made by |
|---|---|---|
| column | field of a record model, column of a database table | `field_name` |
| column | field of a GraphQL input | `graphql_names` |
| column | last part of the name of a metric in MLflow | `metric_name` |
| class | last part of the name of a metric in MLflow | `class_metric_names` |
| data set | prefix of the types of its records | `type_name` |

A contract whose names are not unique in one of these forms, or too long for one of them, is refused when it is loaded. All other places
take names as they are: records in JSON, gRPC and tensors, files, labels in Prometheus, legends of figures.
"""

import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache

from pydantic import BaseModel

RESERVED_DATASETS = frozenset(
    {
        "all",
        "datasets",
        "docs",
        "drift",
        "graphql",
        "health",
        "metrics",
        "model",
        "models",
        "predict",
        "predictions",
        "quality",
        "ready",
        "stream",
        "v2",
    }
)
"""Names that no data set can have: they are parts of the paths of REST, or mean something to the command line."""

BATCHES_TABLE = "hearth_batches"
"""The table of the data database that says which batches are stored; it belongs to all data sets."""

LONGEST_NAME = 200
"""Letters of a column or a class. MLflow takes 250 for a metric, whose name begins with what is measured."""

LONGEST_DATABASE_NAME = 63
"""Bytes of a table or a column of a database; PostgreSQL cuts longer names, MySQL refuses them."""

_RESERVED_FIELDS = ("model_dump", "model_validate")  # pydantic warns of fields that begin with them
_NOT_IN_A_METRIC = re.compile(r"[^\w.\- /:]+")  # MLflow's rule
_SIGNS = {
    "<=": "le",
    ">=": "ge",
    "!=": "ne",
    "<": "lt",
    ">": "gt",
    "=": "eq",
    "≤": "le",
    "≥": "ge",
    "≠": "ne",
    "+": "plus",
    "-": "minus",
    "−": "minus",  # noqa: RUF001 - the sign of mathematics
    "*": "star",
    "%": "percent",
    "$": "dollar",
    "€": "euro",
    "£": "pound",
    "&": "and",
    "@": "at",
    "#": "number",
    "?": "question",
    "!": "not",
    "~": "about",
    "/": "slash",
    ".": "dot",
    ",": "comma",
}
_SIGN = re.compile("|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True)))


def unusable(name: str) -> str:
    """Return why a column or a class cannot have this name, or an empty text if it can."""
    if name != name.strip() or not name:
        return "is empty or starts or ends with a space"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} letters: at most {LONGEST_NAME}"
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in name):
        return "holds a line break or another control character"
    return ""


def field_name(column: str) -> str:
    """Turn `Work-Life Balance Score` into `work_life_balance_score`: an identifier in ASCII, which Python, GraphQL and SQL accept.

    Accents go (`Größe` is `grosse`); a letter of another alphabet becomes its code point (`年` is `u5e74`). No two columns of a contract
    have the same.
    """
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", column.casefold()) if not unicodedata.combining(letter))
    words = re.sub(r"\W+", "_", plain.casefold()).strip("_")
    name = "".join(letter if letter.isascii() else f"u{ord(letter):x}" for letter in words)
    reserved = hasattr(BaseModel, name) or name.startswith(_RESERVED_FIELDS)
    return name if name.isidentifier() and not reserved else f"column_{name}"


def graphql_names(columns: Iterable[str]) -> Mapping[str, str]:
    """Return the GraphQL field of each column: its field name in camel case, as in `workLifeBalanceScore`.

    Columns that would share a name (`Q1_1` and `Q11`) keep their field names instead (`q1_1` and `q11`), which differ.
    """
    return _graphql_names(tuple(columns))


@lru_cache(maxsize=64)
def _graphql_names(columns: tuple[str, ...]) -> Mapping[str, str]:
    names = {column: _camel_case(field_name(column)) for column in columns}
    while shared := {name for name, count in Counter(names.values()).items() if count > 1}:
        kept = {column: field_name(column) for column, name in names.items() if name in shared}
        if all(names[column] == name for column, name in kept.items()):
            break  # the field names are equal: the contract that has such columns is refused
        names |= kept
    return names


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name for a column that is added to those of a table: with `_` behind it until no other one has it."""
    while name in taken:
        name += "_"
    return name


def type_name(dataset: str) -> str:
    """Turn `air_quality` into `AirQuality`; no two data sets have the same."""
    return "".join(part.capitalize() for part in dataset.split("_"))


def metric_name(measure: str, column: str) -> str:
    """Return the name of a metric of a column, `mean/Annual Income (k$)` being `mean/Annual Income k`: MLflow refuses most signs."""
    cleaned = " ".join(_NOT_IN_A_METRIC.sub(" ", unicodedata.normalize("NFC", column)).split())
    if posixpath.normpath(f"{measure}/{cleaned}") != f"{measure}/{cleaned}":  # MLflow refuses what a path would shorten, as `a//b`
        cleaned = " ".join(cleaned.replace("/", " ").split())
    if not re.search(r"[^\W_]", cleaned):
        cleaned = field_name(column)
    return f"{measure}/{cleaned}"


def class_metric_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Return what names of metrics end with for each class: `No disease` is `no_disease`.

    Classes that differ only by signs have the signs spelled out: `<=50K` and `>50K` are `le_50k` and `gt_50k`. Those that differ only by
    the case of letters are numbered: `Low` and `LOW` are `low_1` and `low_2`, the first and the second class.

    Raises:
        ValueError: two classes have the same name even so, or a name is too long.
    """
    names = [_metric_word(class_) for class_ in classes]
    for distinguish in (_spell_signs, _number):
        counts = Counter(names)
        names = [
            name if counts[name] == 1 else distinguish(class_, code) for code, (name, class_) in enumerate(zip(names, classes, strict=True))
        ]
    owners: dict[str, str] = {}
    for name, class_ in zip(names, classes, strict=True):
        if len(name) > LONGEST_NAME:
            message = f"{class_!r} is too long for the name of a metric, {name!r}: give it a shorter name"
            raise ValueError(message)
        owner = owners.setdefault(name, class_)
        if owner != class_:
            message = f"{owner!r} and {class_!r} have the same name in metrics, {name!r}: give one of them another name"
            raise ValueError(message)
    return tuple(names)


def _spell_signs(class_: str, _code: int) -> str:
    return _metric_word(_SIGN.sub(lambda sign: f" {_SIGNS[sign[0]]} ", class_)).strip("_")


def _number(class_: str, code: int) -> str:
    return f"{_spell_signs(class_, code)}_{code + 1}"


def _metric_word(text: str) -> str:
    return re.sub(r"\W+", "_", unicodedata.normalize("NFC", text).lower())


def _camel_case(name: str) -> str:
    """Do as Strawberry does."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() if part else "_" for part in others)
