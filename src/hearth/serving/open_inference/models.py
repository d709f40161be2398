"""Models in the protocol's words: the name is that of a data set, the version an alias or the number of a version that serves under one."""

from collections.abc import Callable

from hearth.contracts import CategoryColumn, Contract, IntegerColumn
from hearth.contracts.aliases import CHAMPION, aliases
from hearth.contracts.column_types import Column
from hearth.errors import ModelUnavailable, UnknownVersion
from hearth.serving.alias_view import FollowerStatus
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.open_inference.tensors import BYTES, TensorSpec
from hearth.serving.predictor import Predictor

SERVER_NAME = "hearth"
PLATFORM = "sklearn_skops"


def find_model(predictor: Predictor, contract: Contract, version: str) -> LoadedModel:
    """Return the model of a version: an alias, the number of a version, or empty for the champion. Asks no server.

    Several aliases may carry the version; the first in the contract's order answers, so its family.

    Raises:
        UnknownAlias: the data set cannot have this alias.
        UnknownVersion: no alias serves the version of this number.
        ModelUnavailable: nothing is loaded for the alias.
    """
    if not version.isdecimal():
        return predictor.find(contract.name, version or CHAMPION)
    models = _served(predictor, contract)
    for model in models:
        if model.version == version:
            return model
    served = ", ".join(f"{model.version} ({model.alias})" for model in models) or "none"
    raise UnknownVersion(f"Version {version} of {contract.name!r} serves under no alias; these do: {served}.")


def route_model(predictor: Predictor, contract: Contract, version: str, key: Callable[[], str]) -> LoadedModel:
    """Return the model that answers a request for a version: of the champion's requests a candidate may answer a share.

    A number names just this version. Raises what `find_model` raises.
    """
    if version.isdecimal():
        return find_model(predictor, contract, version)
    return predictor.route(contract.name, version or CHAMPION, key)


def versions(predictor: Predictor, contract: Contract) -> list[str]:
    """Return what can be asked for as a version: the aliases that serve, then the numbers of their versions."""
    models = _served(predictor, contract)
    numbers = dict.fromkeys(model.version for model in models)
    return [*(model.alias for model in models), *numbers]


def input_specs(contract: Contract) -> tuple[TensorSpec, ...]:
    """Return an input for each feature, in contract order."""
    return tuple(TensorSpec(name, _datatype(column), (-1,)) for name, column in contract.feature_columns.items())


def is_ready(status: FollowerStatus) -> bool:
    """Whether the process has started and at least one alias of any data set serves, as gRPC's health service says too."""
    return not status.starting and any(alias.serving for alias in status.aliases)


def _served(predictor: Predictor, contract: Contract) -> list[LoadedModel]:
    models = []
    for alias in aliases(contract):
        try:
            models.append(predictor.find(contract.name, alias))
        except ModelUnavailable:
            continue
    return models


def _datatype(column: Column) -> str:
    """Return the datatype that can hold every value of a column: whole numbers that may be missing need NaN."""
    if isinstance(column, CategoryColumn) and not column.holds_numbers:
        return BYTES
    is_whole = isinstance(column, CategoryColumn | IntegerColumn)
    return "INT64" if is_whole and not column.nullable else "FP64"
