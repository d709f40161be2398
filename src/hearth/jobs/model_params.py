"""The file of parameters that `mlops_pipeline` trains with: data set, family, parameters."""

import logging
import math
from pathlib import Path

import yaml

from hearth.contracts import Contract
from hearth.errors import InvalidModelParams
from hearth.modelling.families import FAMILIES, Param, Params

_LOGGER = logging.getLogger(__name__)


def read_model_params(path: Path, contract: Contract, family: str) -> Params:
    """Return the family's defaults with what the file says of this data set and family in their place.

    Raises:
        InvalidModelParams: the file is not there or is no YAML, or names a family or a parameter that there is not.
    """
    found = _section(path, _read(path), contract.name)
    for name in found:
        if name not in contract.families:
            listed = ", ".join(contract.families)
            raise InvalidModelParams(path, f"{contract.name}.{name}", f"is no family of this data set; those are: {listed}")
    written = _section(path, found, family, contract.name)
    defaults = FAMILIES[family].defaults
    known = FAMILIES[family].build_for_tuning(defaults, 0).get_params()
    checked: dict[str, Param] = {}
    for name, value in written.items():
        where = f"{contract.name}.{family}.{name}"
        if name not in known:
            raise InvalidModelParams(path, where, f"is no parameter of this family; those are: {', '.join(known)}")
        if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
            raise InvalidModelParams(path, where, f"must be a number, a word, true or false, got {value!r}")
        checked[name] = value
    _LOGGER.info("%s %s: %d of its parameters are those of %s", contract.name, family, len(checked), path)
    return {**defaults, **checked}


def _read(path: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InvalidModelParams(path, "the file", "is not there") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidModelParams(path, "the file", f"is no YAML: {error}") from error
    return _section(path, {"the file": content}, "the file")


def _section(path: Path, content: dict[str, object], name: str, above: str = "") -> dict[str, object]:
    """Return what a key holds; nothing if it is not there or is empty."""
    found = content.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidModelParams(path, f"{above}.{name}" if above else name, f"must be a mapping of names, got {found!r}")
    return {str(key): value for key, value in found.items()}
