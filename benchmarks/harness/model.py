"""The models that the contenders serve: fitted on fake employees, as joblib files and as versions of a registry.

python -m benchmarks.harness.model FOLDER [--register TRACKING_URI]
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import joblib
import numpy as np
import pandas as pd
import typer
from sklearn.pipeline import Pipeline

from hearth.cli.application import run_program
from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.data.cleaning import target_codes
from hearth.fakes import FakeRecords
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.registry import NewVersion, Registry
from hearth.settings import ModelSettings

DATA = Path(__file__).parents[2] / "data"
ROWS, SEED = 15_000, 42
# 200 rounds, a tree for each class and round
TREES: dict[str, float | int | str] = {"n_estimators": 200, "num_leaves": 31, "max_depth": -1}


def main(
    folder: Path,
    registry_uri: Annotated[str | None, typer.Option("--register", help="Tracking URI of an MLflow server.")] = None,
) -> None:
    """Fit one pipeline for each family, write them to a folder, and register them if a registry is named."""
    contract = load_contract("employees", DATA)
    X, y = rows(contract, ROWS)
    registry = signing_registry(registry_uri) if registry_uri else None
    for family in contract.families:
        pipeline = fitted(contract, family, X, y)
        joblib.dump(pipeline, folder / f"{family}.joblib")
        if registry:
            register(registry, contract, family, pipeline, X)


def rows(contract: Contract, count: int, seed: int = SEED) -> tuple[pd.DataFrame, np.ndarray]:
    """Return raw features (float64 and texts) and class codes of fake rows that have a target."""
    frame = FakeRecords.load(contract, DATA).frame(count, seed=seed)
    frame = frame[frame[contract.target.column].notna()]
    texts: dict[str, type | str] = dict.fromkeys(contract.categorical_features, "str")
    X = frame[list(contract.feature_names)].astype(texts | dict.fromkeys(contract.numeric_features, np.float64))
    return X, target_codes(contract, frame[contract.target.column]).to_numpy()


def fitted(contract: Contract, family: str, X: pd.DataFrame, y: np.ndarray) -> Pipeline:
    """Return the pipeline of a family with its defaults, and with 200 trees where it has trees."""
    params = {**FAMILIES[family].defaults, **(TREES if family == "lightgbm" else {})}
    return Pipeline([("features", build_features(contract)), ("model", FAMILIES[family].build(params, SEED))]).fit(X, y)


def signing_registry(uri: str) -> Registry:
    """Return a registry that signs as trainings do; services then load its versions without a probe."""
    return Registry.from_settings(ModelSettings(mlflow_tracking_uri=uri))


def register(registry: Registry, contract: Contract, family: str, pipeline: Pipeline, X: pd.DataFrame) -> str:
    """Register a pipeline under its family's alias, LightGBM's under champion too; return the version."""
    new = NewVersion(
        dataset=contract.name,
        family=family,
        digest="bench",
        training_key=f"bench {family} {datetime.now(UTC):%H%M%S%f}",
        pipeline=pipeline,
        example=X.head(5),
        params={},
        metrics={},
        pictures={},
    )
    registered = registry.register(new)
    registry.annotate(registered, {"hearth.gate": "passed"})
    version = registered.version
    for alias in (family, CHAMPION) if family == "lightgbm" else (family,):
        registry.set_alias(contract.name, alias, version)
    return version


if __name__ == "__main__":
    run_program(main)
