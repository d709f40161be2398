"""The values of the command line: each kind of option is checked, described and completed here, for every command and program.

A function named `parse_…` returns the value or raises BadParameter, which ends the command with code 2; the others make the option.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from hearth.cli.checkout import find_checkout
from hearth.errors import UnknownDataset

ALL = "all"
AS_FAST_AS_POSSIBLE = 0.0
_LARGEST_SEED = 2**31 - 1
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|min|h|d|)")
_CONTRACT = "contract.yaml"
_CHANGEABLE_FIELDS = ("alias", "dataset")


@dataclass(frozen=True)
class FieldChange:
    """A field of a message and its new value."""

    name: str
    value: str


def parse_whole(value: object, minimum: int = 1, maximum: int | None = None) -> int:
    """Return a whole number from `minimum` to `maximum`."""
    text = str(value)
    number = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
    if number < minimum or (maximum is not None and number > maximum):
        bounds = f"of {minimum} or more" if maximum is None else f"from {minimum} to {maximum}"
        raise typer.BadParameter(f"expected a whole number {bounds}, got {text!r}.")
    return number


def parse_number(value: object, *, above: float = 0) -> float:
    """Return a finite number above a bound."""
    number = _float(value)
    if not above < number < math.inf:
        raise typer.BadParameter(f"expected a number above {above:g}, got {str(value)!r}.")
    return number


def parse_share(value: object) -> float:
    """Return a share: a number from 0 to 1, or a percentage such as 5%."""
    text = str(value)
    share = _float(text[:-1]) / 100 if text.endswith("%") else _float(text)
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"expected a share from 0 to 1, or a percentage such as 5%, got {text!r}.")
    return share


def parse_rate(value: object) -> float:
    """Return a number of records a second; 0, or `max`, means as fast as possible."""
    rate = AS_FAST_AS_POSSIBLE if value == "max" else _float(value)
    if not 0 <= rate < math.inf:
        raise typer.BadParameter(f"expected records a second, such as 2.5, or max, got {str(value)!r}.")
    return rate


def parse_moment(value: object) -> datetime:
    """Return the moment of `2026-11-21` or `2026-11-21T08:00:00+01:00`; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        example = "2026-11-21 or 2026-11-21T08:00:00+01:00"
        raise typer.BadParameter(f"expected a date or a moment such as {example}, got {str(value)!r}.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_duration(value: object) -> float:
    """Return the seconds of a duration above 0: `90`, `90s`, `5m`, `2h` or `7d`."""
    match = _DURATION.fullmatch(str(value))
    seconds = float(match[1]) * _UNIT_SECONDS[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise typer.BadParameter(f"expected a duration such as 90s, 5m, 2h or 7d, got {str(value)!r}.")
    return seconds


def parse_dataset(value: object) -> str:
    """Return the name of a data set that has a contract; unchecked where HEARTH_DATA_DIR does not say where contracts are."""
    name = str(value)
    if (folder := os.environ.get("HEARTH_DATA_DIR")) and name not in (names := dataset_names(Path(folder))):
        raise typer.BadParameter(str(UnknownDataset(name, names)))
    return name


def parse_datasets(value: object) -> str:
    """Return names of data sets as `chosen_contracts` takes them: one, several separated by commas, or `all`."""
    text = str(value)
    return text if text == ALL else ",".join(parse_dataset(name.strip()) for name in text.split(","))


def parse_field_change(value: object) -> FieldChange:
    """Return the change of `alias=VALUE` or `dataset=VALUE`."""
    name, _, new = str(value).partition("=")
    if name not in _CHANGEABLE_FIELDS or not new:
        raise typer.BadParameter(f"expected {' or '.join(f'{name}=VALUE' for name in _CHANGEABLE_FIELDS)}, got {str(value)!r}.")
    return FieldChange(name, new)


def dataset_names(folder: Path) -> list[str]:
    """Return the names of the data sets in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob(f"*/{_CONTRACT}"))


def whole(help_: str, *names: str, minimum: int = 1, maximum: int | None = None, **more: Any) -> Any:  # noqa: ANN401 - an option of Typer
    """Make an option that takes a whole number."""
    return _option(lambda value: parse_whole(value, minimum, maximum), "NUMBER", help_, names, more)


def seed(help_: str = "The same seed gives the same result.") -> Any:  # noqa: ANN401
    """Make an option that takes a seed of random numbers."""
    return whole(help_, minimum=0, maximum=_LARGEST_SEED)


def number(help_: str, *names: str, **more: Any) -> Any:  # noqa: ANN401
    """Make an option that takes a number above 0."""
    return _option(parse_number, "NUMBER", help_, names, more)


def share(help_: str, *names: str, **more: Any) -> Any:  # noqa: ANN401
    """Make an option that takes a share."""
    return _option(parse_share, "SHARE", help_, names, more)


def rate(help_: str, *names: str, **more: Any) -> Any:  # noqa: ANN401
    """Make an option that takes records a second."""
    return _option(parse_rate, "RATE", help_, names, more)


def moment(help_: str, *names: str, **more: Any) -> Any:  # noqa: ANN401
    """Make an option that takes a date or a moment."""
    return _option(parse_moment, "MOMENT", help_, names, more)


def duration(help_: str, *names: str, **more: Any) -> Any:  # noqa: ANN401
    """Make an option that takes a duration and gives seconds."""
    return _option(parse_duration, "DURATION", help_, names, more)


def dataset(help_: str = "The data set.", *names: str, **more: Any) -> Any:  # noqa: ANN401
    """Make an option that takes the name of one data set."""
    return _option(parse_dataset, "NAME", help_, names, {"autocompletion": _complete_dataset, **more})


def datasets(help_: str = "One data set, several such as employees,heart, or all.", *names: str, **more: Any) -> Any:  # noqa: ANN401
    """Make an option that takes the names of data sets."""
    return _option(parse_datasets, "NAMES", help_, names, {"autocompletion": _complete_dataset, **more})


def field_change(help_: str, *names: str) -> Any:  # noqa: ANN401
    """Make an option that takes a field of a message and its new value."""
    return _option(parse_field_change, "FIELD=VALUE", help_, names, {})


def _option(parser: Callable[[object], object], metavar: str, help_: str, names: tuple[str, ...], more: dict[str, Any]) -> Any:  # noqa: ANN401
    return typer.Option(*names, parser=parser, metavar=metavar, help=help_, **more)


def _complete_dataset(incomplete: str) -> list[str]:
    checkout = find_checkout()
    folder = os.environ.get("HEARTH_DATA_DIR") or (checkout.root / "data" if checkout else "data")
    return [name for name in dataset_names(Path(folder)) if name.startswith(incomplete)]


def _float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan
