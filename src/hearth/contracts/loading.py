"""Read contracts from `<data_dir>/<name>/contract.yaml`; a mistake is refused with file, key and reason."""

from collections.abc import Hashable, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hearth.contracts.model import Contract
from hearth.errors import InvalidContract, UnknownDataset
from hearth.settings import get_settings

FILE_NAME = "contract.yaml"
ALL = "all"


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, which YAML would settle silently for the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key_node.start_mark)
            if key in keys:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is written twice", key_node.start_mark)
            keys.add(key)
        return super().construct_mapping(node, deep=deep)


def load_contract(name: str, data_dir: Path | None = None) -> Contract:
    """Read the contract of one data set.

    Raises:
        UnknownDataset: there is no folder of this name with a contract.
        InvalidContract: the contract has a mistake.
    """
    folder = _data_dir(data_dir)
    names = _names(folder)
    if name not in names:
        raise UnknownDataset(name, names)
    return read_contract(folder / name / FILE_NAME)


def list_contracts(data_dir: Path | None = None) -> list[Contract]:
    """Read the contracts of all data sets, by name.

    Raises:
        InvalidContract: a contract has a mistake, or two do not go together.
    """
    folder = _data_dir(data_dir)
    contracts = [load_contract(name, folder) for name in _names(folder)]
    _require_distinct_dags(contracts, folder)
    return contracts


def chosen_contracts(names: str, data_dir: Path | None = None) -> list[Contract]:
    """Read the contracts that a person has named: `heart`, `employees,heart`, or `all`.

    Raises:
        UnknownDataset: no contract has this name.
        InvalidContract: a contract has a mistake.
    """
    if names == ALL:
        return list_contracts(data_dir)
    return [load_contract(name, data_dir) for name in dict.fromkeys(name.strip() for name in names.split(","))]


def contract_path(name: str, data_dir: Path | None = None) -> Path:
    """Return where the contract of a data set lies, whether or not it is there."""
    return _data_dir(data_dir) / name / FILE_NAME


def read_contract(path: Path) -> Contract:
    """Read one contract file.

    Raises:
        InvalidContract: with the file, the key and the reason of the first mistake.
    """
    try:
        content = yaml.load(path.read_text("utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except RecursionError as error:
        raise InvalidContract(path, "the file", "is nested too deeply") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "the file"
        raise InvalidContract(path, where, getattr(error, "problem", None) or str(error)) from error
    if not isinstance(content, dict):
        raise InvalidContract(path, "the file", "must be a mapping of keys such as name, target and columns")
    try:
        contract = Contract.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidContract(path, _key(first), first["msg"].removeprefix("Value error, ")) from error
    if contract.name != path.parent.name:
        raise InvalidContract(path, "name", f"is {contract.name!r}, but the folder is {path.parent.name!r}: they must be equal")
    return contract


def _key(error: ErrorDetails) -> str:
    """Return where in the file an error is; pydantic adds the kind of a column or a source to its name, which no one has written there."""
    location = list(error["loc"])
    if location[:1] == ["columns"] and len(location) > 2:  # noqa: PLR2004 - columns, name, kind
        del location[2]
    if location[:1] == ["source"] and len(location) > 1:
        del location[1]
    return ".".join(str(part) for part in location) or str(error.get("ctx", {}).get("key", "the file"))


def _data_dir(data_dir: Path | None) -> Path:
    return get_settings().data_dir if data_dir is None else data_dir


def _names(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE_NAME}"))


def _require_distinct_dags(contracts: Sequence[Contract], folder: Path) -> None:
    """Raise InvalidContract if two data sets want the same DAG without prefix."""
    owners: dict[str, str] = {}
    for contract in contracts:
        for dag in contract.dags_without_prefix:
            owner = owners.setdefault(dag, contract.name)
            if owner != contract.name:
                reason = f"names {dag!r}, as {owner!r} does: only one data set can have it"
                raise InvalidContract(folder / contract.name / FILE_NAME, "dags_without_prefix", reason)
