"""Read statistics from `<data_dir>/<name>/statistics.json`; a mistake is refused with file, key and reason."""

import json
from pathlib import Path

from pydantic import ValidationError

from hearth.contracts import Contract
from hearth.errors import InvalidStatistics
from hearth.fakes.checks import find_mistake, listed
from hearth.fakes.statistics import Statistics


def read_statistics(contract: Contract, path: Path) -> Statistics:
    """Read the statistics of a data set and check that every value that can be drawn from them keeps the contract.

    Raises:
        InvalidStatistics: with the file, the key and the reason of the first mistake.
    """
    try:
        content = json.loads(path.read_text("utf-8"), object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        hint = "does not exist: measure it with utils/measure_statistics.py on the real file"
        raise InvalidStatistics(path, "the file", hint) from error
    except RecursionError as error:
        raise InvalidStatistics(path, "the file", "is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise InvalidStatistics(path, f"line {error.lineno}", f"not JSON: {error.msg}") from error
    except ValueError as error:  # not UTF-8, a key twice, NaN or Infinity
        raise InvalidStatistics(path, "the file", str(error)) from error
    try:
        statistics = Statistics.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidStatistics(path, key or "the file", first["msg"]) from error
    if mistake := find_mistake(contract, statistics):
        raise InvalidStatistics(path, *mistake)
    return statistics


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if doubles := {key for key in keys if keys.count(key) > 1}:
        message = f"a key is written twice: {listed(doubles)}"
        raise ValueError(message)
    return dict(pairs)


def _refuse_constant(text: str) -> object:
    message = f"{text} is not a number"
    raise ValueError(message)
