"""The file of parameters that `mlops_pipeline` trains with: data set, family, parameters."""

import logging
import math
from pathlib import Path

from hearth.contracts import Contract
from hearth.contracts.strict_yaml import InvalidYaml, read_yaml
from hearth.errors import InvalidModelParams
from hearth.logs import about
from hearth.modelling.families import FAMILIES, Param, Params

_LOGGER = logging.getLogger(__name__)


def read_model_params(path: Path, contract: Contract, family: str) -> Params:
    """Return the family's defaults, replaced by the parameters of the file for this data set and family.

    Raises:
        InvalidModelParams: the file does not exist or is no YAML, or names an unknown family or parameter.
    """
    families = _section(path, _read(path), contract.name)
    for name in families:
        if name not in contract.families:
            listed = ", ".join(contract.families)
            raise InvalidModelParams(path, f"{contract.name}.{name}", f"is no family of this data set; those are: {listed}")
    params = _section(path, families, family, contract.name)
    defaults = FAMILIES[family].defaults
    allowed = FAMILIES[family].build_for_tuning(defaults, 0).get_params()
    checked: dict[str, Param] = {}
    for name, value in params.items():
        where = f"{contract.name}.{family}.{name}"
        if name not in allowed:
            raise InvalidModelParams(path, where, f"is no parameter of this family; those are: {', '.join(allowed)}")
        if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
            raise InvalidModelParams(path, where, f"must be a number, a word, true or false, got {value!r}")
        checked[name] = value
    _LOGGER.info("%s %s: %d of its parameters are from %s", contract.name, family, len(checked), path, extra=about(contract.name))
    return {**defaults, **checked}


def _read(path: Path) -> dict[str, object]:
    try:
        content = read_yaml(path)
    except FileNotFoundError as error:
        raise InvalidModelParams(path, "the file", "is not there") from error
    except InvalidYaml as error:
        raise InvalidModelParams(path, error.where, error.reason) from error
    return _section(path, {"the file": content}, "the file")


def _section(path: Path, content: dict[str, object], name: str, above: str = "") -> dict[str, object]:
    """Return the mapping of a key; an empty one if the key is missing or empty."""
    section = content.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise InvalidModelParams(path, f"{above}.{name}" if above else name, f"must be a mapping of names, got {section!r}")
    return {str(key): value for key, value in section.items()}
