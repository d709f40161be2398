"""Read contracts from `<data_dir>/<name>/contract.yaml`; a mistake is refused with file, key and reason."""

import logging
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hearth.contracts.model import BatchSource, Contract
from hearth.contracts.names import type_name
from hearth.contracts.strict_yaml import InvalidYaml, read_yaml
from hearth.errors import InvalidContract, UnknownDataset
from hearth.settings import get_settings

_LOGGER = logging.getLogger(__name__)
FILE_NAME = "contract.yaml"
ALL = "all"


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
    contracts, refused = _read_all(_data_dir(data_dir))
    if refused:
        raise refused[0]
    return contracts


def usable_contracts(data_dir: Path | None = None, required: str | None = None) -> list[Contract]:
    """Read the contracts of all data sets, by name, without those that have a mistake, so that one data set never stops the others.

    Each mistake is logged as an error. Where two contracts do not go together, the first one by name is returned.

    Raises:
        InvalidContract: all contracts have a mistake, or that of the data set `required` has.
    """
    contracts, refused = _read_all(_data_dir(data_dir))
    for error in refused:
        if not contracts or error.path.parent.name == required:
            raise error
        _LOGGER.error("The data set %r is left out: %s", error.path.parent.name, error)
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
        content = read_yaml(path)
    except InvalidYaml as error:
        raise InvalidContract(path, error.where, error.reason) from error
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


def _read_all(folder: Path) -> tuple[list[Contract], list[InvalidContract]]:
    """Return the good contracts by name, and why the others are refused."""
    contracts: list[Contract] = []
    refused: list[InvalidContract] = []
    owners: dict[tuple[str, str], str] = {}
    for name in _names(folder):
        try:
            contract = load_contract(name, folder)
            _claim(contract, owners, folder)
        except InvalidContract as error:
            refused.append(error)
        else:
            contracts.append(contract)
    return contracts, refused


def _claim(contract: Contract, owners: dict[tuple[str, str], str], folder: Path) -> None:
    """Add what only one data set can have to `owners`; raise InvalidContract if another one has it."""
    claims: list[tuple[str, str]] = [("dags_without_prefix", dag) for dag in contract.dags_without_prefix]
    if isinstance(contract.source, BatchSource):
        claims.append(("source.table", contract.source.table))
    claims.append(("name", type_name(contract.name)))
    for key, claim in claims:
        if (owner := owners.get((key, claim))) is not None:
            what = f"becomes {claim!r} in code" if key == "name" else f"names {claim!r}"
            raise InvalidContract(folder / contract.name / FILE_NAME, key, f"{what}, as {owner!r} does: only one data set can have it")
    owners |= dict.fromkeys(claims, contract.name)
