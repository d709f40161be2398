"""Many metrics of a version as a few small tables. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

_MEASURES = ("precision", "recall", "f1")
_SIGNS = re.compile(r"\W+")
_MOST_ALONE = 2
_OVERALL = "Overall"
_TITLES = {"cv": "Cross-validation", "test": "Test", "train": "Train", "macro": _OVERALL}


@dataclass(frozen=True)
class MetricGroups:
    """`by_class` has a row a class and a column a measure; `others` holds the other metrics by the title of their group."""

    by_class: pd.DataFrame
    others: Mapping[str, Mapping[str, float]]


def grouped(metrics: Mapping[str, float], classes: Sequence[str]) -> MetricGroups:
    """Sort metrics: those of one class into a table, others by the first word of their name, if more than two share it."""
    suffixes = set.intersection(*({name.removeprefix(f"{measure}_") for name in metrics if _is(measure, name)} for measure in _MEASURES))
    words = {_SIGNS.sub("_", name).strip("_").lower(): place for place, name in enumerate(classes)}
    order = sorted(suffixes, key=lambda suffix: (words.get(suffix, len(classes)), suffix))
    names = [classes[words[suffix]] if suffix in words else suffix for suffix in order]
    table = {measure: [metrics[f"{measure}_{suffix}"] for suffix in order] for measure in _MEASURES}
    of_classes = {f"{measure}_{suffix}" for measure in _MEASURES for suffix in order}
    others = {name: value for name, value in metrics.items() if name not in of_classes}
    first = [_first_word(name) for name in others]
    groups: dict[str, dict[str, float]] = {}
    for (name, value), word in zip(others.items(), first, strict=True):
        title = _TITLES.get(word) or (word if first.count(word) > _MOST_ALONE else _OVERALL)
        groups.setdefault(title, {})[name] = value
    return MetricGroups(pd.DataFrame(table, index=names), dict(sorted(groups.items(), key=lambda group: (group[0] != _OVERALL, group[0]))))


def _is(measure: str, name: str) -> bool:
    return name.startswith(f"{measure}_")


def _first_word(name: str) -> str:
    return re.split(r"[_./ ]", name, maxsplit=1)[0]
