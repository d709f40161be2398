"""Checks for drift of made-up windows."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from hearth.contracts import Contract
from hearth.data.profile import profile
from hearth.monitoring.check import DriftCheck, check
from hearth.monitoring.reference import Incomplete, Reference, describe_outputs
from hearth.monitoring.window import Position, Window, features_of
from tests.support.samples import sample_rows

ROWS = 1_000


def reference(contract: Contract) -> Reference:
    X, y = sample_rows(contract, 4_000, seed=1)
    X = X[X.isna().sum(axis=1) <= contract.cleaning.max_nulls]
    own = probabilities(contract, 1)
    return Reference(profile(contract, X, y[X.index], "d"), describe_outputs(contract, own.argmax(axis=1), own, 0.8), Incomplete(10, 4_000))


def probabilities(contract: Contract, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([4, 2, 1][: len(contract.target.classes)], ROWS)


def served_rows(contract: Contract, column: str, deviations: float) -> pd.DataFrame:
    """Return records whose column has moved."""
    X, _ = sample_rows(contract, ROWS, seed=2)
    return X.assign(**{column: X[column] + deviations * X[column].std()})


def made_check(  # noqa: PLR0913, PLR0917 - what a check is made of
    contract: Contract,
    moment: datetime,
    column: str,
    deviations: float = 0.0,
    records: Sequence[dict[str, object]] | None = None,
    places: tuple[Position, Position] | None = None,
) -> DriftCheck:
    """Return the check of a window of version 2, whose newest answer is of this moment."""
    X = served_rows(contract, column, deviations) if records is None else features_of(contract, records)
    own = probabilities(contract, 2)
    first, last = places or (Position(moment - timedelta(minutes=1), "a", 0), Position(moment, "b", 7))
    window = Window(X, own.argmax(axis=1), own, first, last)
    return check(contract, "2", reference(contract), window, None, now=moment)
