"""Fit all families of a data set on its raw rows and register them, each under its alias.

`python tests/support/register_versions.py DATASET` is run by tests in a process of its own, which may have
other code and other data than the tests. The first family is the champion.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.data.cleaning import target_codes
from hearth.fakes import FakeRecords, real_file
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.registry import NewVersion, Registry
from hearth.settings import ModelSettings

_ROWS, _SEED = 800, 42


def rows(contract: Contract, data_dir: Path) -> pd.DataFrame:
    """Return the raw rows of a data set: the real ones, or fake ones."""
    path = real_file(contract, data_dir)
    frame = pd.read_csv(path) if path else FakeRecords.load(contract, data_dir).frame(_ROWS, _SEED)
    texts = [name for name in contract.categorical_features if name in frame]
    if contract.target.column in contract.columns and contract.columns[contract.target.column].kind == "category":
        texts.append(contract.target.column)
    frame = frame.dropna(subset=[contract.target.column])  # as the ETL does
    return frame.astype(dict.fromkeys(contract.numeric_features, np.float64) | dict.fromkeys(texts, "str"))


def main() -> None:
    settings = ModelSettings()
    contract = load_contract(sys.argv[1], settings.data_dir)
    registry = Registry.from_settings(settings)
    frame = rows(contract, settings.data_dir)
    X, y = frame[list(contract.feature_names)], target_codes(contract, frame[contract.target.column]).to_numpy()
    for family in contract.families:
        estimator = FAMILIES[family].final(FAMILIES[family].defaults, _SEED, len(X))
        pipeline = Pipeline([("features", build_features(contract)), ("model", estimator)]).fit(X, y)
        new = NewVersion(
            dataset=contract.name,
            family=family,
            digest="raw",
            training_key=f"all rows {family}",
            pipeline=pipeline,
            example=X.head(5),
            params={},
            metrics={},
            pictures={},
        )
        registered = registry.register(new)
        registry.annotate(registered, {"hearth.gate": "passed"})
        version = registered.version
        for alias in (family, CHAMPION) if family == contract.families[0] else (family,):
            registry.set_alias(contract.name, alias, version)


if __name__ == "__main__":
    main()
