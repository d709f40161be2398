"""Fit a version again, on the same data with the same parameters: after an upgrade of scikit-learn, whose releases read no other's files.

What comes out is a new version, which the gate judges as any other. It gets no alias by itself.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from hearth.contracts import load_contract
from hearth.data.processed import read_manifest, split_source
from hearth.errors import CannotRefit
from hearth.jobs.promote import judge
from hearth.jobs.train import Selection, fit_and_register, require_family
from hearth.jobs.training_data import open_split
from hearth.modelling.families import FAMILIES, Param
from hearth.modelling.gate import Decision
from hearth.registry import RegisteredVersion, Registry, library_versions
from hearth.registry.provenance import MUST_MATCH
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_BESIDE = frozenset({"digest", "calibration"})  # what is logged with every version, and is made anew


@dataclass(frozen=True)
class Refitted:
    """The new version, what the gate says of it, and the metric of the contract of the old one and of the new one."""

    old: RegisteredVersion
    new: RegisteredVersion
    decision: Decision


def refit(dataset: str, version: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> Refitted:
    """Fit a version again; a second call with the same libraries returns what the first has registered, judged anew.

    Args:
        dataset: Of the version.
        version: Its number, or an alias that carries it.
        store: Where the data are.
        registry: Where the version is.

    Raises:
        ModelUnavailable: there is no such version.
        CannotRefit: its run is gone, so nobody knows its parameters.
        UnknownFamily: the data set is not trained with its family any more.
        ObjectNotFound: the data that it was trained on are gone.
        UntrainableData: a class has too few rows.
    """
    contract = load_contract(dataset)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    old = registry.version(dataset, version)
    require_family(contract, old.family)
    installed = library_versions()
    training_key = f"{dataset}/{old.family}/refit of {old.version} with {', '.join(f'{name} {installed[name]}' for name in MUST_MATCH)}"
    new = registry.find(dataset, training_key)
    if new is None:
        source, origin = split_source(store, dataset, old.digest), read_manifest(store, dataset, old.digest).origin
        params, search = _read_params(old, f"cv_{contract.metric}")
        selection = Selection(
            old.family, params, old.digest, int(str(search["seed"])), old.metrics[f"cv_{contract.metric}"], search, source, origin
        )
        with open_split(store, contract, old.digest) as split:
            new = fit_and_register(contract, split, selection, training_key, registry)
    decision = judge(dataset, old.family, new.version, "", store=store, registry=registry)
    return Refitted(old, registry.version(dataset, new.version), decision)


def _read_params(version: RegisteredVersion, metric: str) -> tuple[dict[str, Param], dict[str, str | float]]:
    """Return the parameters of the family, and what else was logged with them, such as the seed, from the texts that MLflow has.

    Raises:
        CannotRefit: there are none, or one cannot be read.
    """
    family = FAMILIES[version.family]
    known = {**family.build_for_tuning(family.defaults, 0).get_params(), **family.defaults}
    if "seed" not in version.params or metric not in version.metrics:
        raise CannotRefit(str(version), "its run is gone, or is not of a training of Hearth, so its parameters are not known")
    params: dict[str, Param] = {}
    for name in known.keys() & version.params.keys():
        params[name] = _read(version, name, known)
    rest = {name: value for name, value in version.params.items() if name not in params and name not in _BESIDE}
    return params, {**rest, "refit_of": version.version}


def _read(version: RegisteredVersion, name: str, known: Mapping[str, object]) -> Param:
    """Return a parameter as it was before MLflow made a text of it: a number if it reads as one, unless the default is a word."""
    text, default = version.params[name], known[name]
    if text in {"True", "False"}:
        return text == "True"
    for kind in (int, float) if not isinstance(default, str) else ():
        try:
            return kind(text)
        except ValueError:
            continue
    if isinstance(default, (int, float)):
        raise CannotRefit(str(version), f"its parameter {name} is {text!r}, expected a number")
    return text
