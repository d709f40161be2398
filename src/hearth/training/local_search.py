"""Cross-validate parameters and vary them a little: how `mlops_pipeline` compares families, and how it tunes the best."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.modelling.evaluation import metric
from hearth.modelling.families import Family, Param, Params
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.training.folds import FOLDS, Fold, make_folds

_LOGGER = logging.getLogger(__name__)
_SEEDS = {"seed", "random_state"}
AS_TRAINED = "as trained"


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of train rows by models that were not fitted on them, in the order of the folds.

    `fold`, `row` (the position in the train set) and `truth` have shape (rows,), `probabilities` (rows, classes). A family that is tuned
    on a sample predicts the rows of the sample only.
    """

    fold: np.ndarray
    row: np.ndarray
    truth: np.ndarray
    probabilities: np.ndarray

    def scores(self, contract: Contract) -> tuple[float, ...]:
        """Compute the contract's metric of each fold."""
        codes = self.probabilities.argmax(axis=1)
        return tuple(metric(contract, self.truth[self.fold == fold], codes[self.fold == fold]) for fold in np.unique(self.fold))


@dataclass(frozen=True)
class Variant:
    """Changed parameters, and the name of the change."""

    label: str
    params: Params


@dataclass(frozen=True)
class SearchResult:
    """The name of the best variant, and all trials; the first has the parameters that the search started from."""

    label: str
    tuning: TuningResult


def cross_validate(  # noqa: PLR0913 - all but the data are named
    contract: Contract, X: pd.DataFrame, y: pd.Series, family: Family, *, params: Params, seed: int, folds: int = FOLDS
) -> OutOfFold:
    """Fit the estimator that would be registered on each fold, and predict the rows held out.

    Raises:
        UntrainableData: a class has fewer rows than there are folds.
    """
    with threadpool_limits(limits=1):
        return _out_of_fold(make_folds(contract, X, y, family, folds=folds, seed=seed), family, params, seed)


def local_search(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    params: Params,
    steps: int,
    factors: Sequence[float],
    seed: int,
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> SearchResult:
    """Vary the numbers among the parameters and keep the best; continue from there while it gets better, for at most `steps` rounds.

    A variant that cannot be fitted is left out.

    Raises:
        UntrainableData: a class has fewer rows than there are folds.
        Exception: the parameters that the search starts from cannot be fitted; this is the error of the library.
    """
    with threadpool_limits(limits=1):
        parts = make_folds(contract, X, y, family, folds=FOLDS, seed=seed)
        results: list[TrialResult] = []

        def evaluate(variant: Variant) -> TrialResult:
            try:
                scores = _out_of_fold(parts, family, variant.params, seed).scores(contract)
            except Exception as error:  # libraries raise anything for parameters that do not fit the data
                if not results:
                    raise
                raise _VariantFailed(f"{type(error).__name__}: {error}") from error
            results.append(TrialResult(len(results), variant.params, scores, pruned=False))
            _LOGGER.info("%s: %s %.4f %s", variant.label, contract.metric, results[-1].score, dict(variant.params))
            on_trial(results[-1])
            return results[-1]

        label, best = AS_TRAINED, evaluate(Variant(AS_TRAINED, params))
        for _ in range(steps):
            before, improved = best, ""
            for variant in neighbours(before.params, family.bounds(), factors):
                if any(variant.params == earlier.params for earlier in results):
                    continue
                try:
                    result = evaluate(variant)
                except _VariantFailed as error:
                    _LOGGER.warning("%s is left out (%s) %s", variant.label, error, dict(variant.params))
                    continue
                if result.score > best.score:
                    best, improved = result, variant.label
            if best is before:
                break
            label = improved if label == AS_TRAINED else f"{label}, then {improved}"
    return SearchResult(label, TuningResult(best.params, best.score, tuple(results)))


class _VariantFailed(Exception):
    """A variant cannot be fitted; the search goes on."""


def neighbours(params: Params, bounds: Mapping[str, tuple[float, float]], factors: Sequence[float]) -> list[Variant]:
    """Multiply each number by each factor, one at a time, and then all together.

    Booleans, words and seeds stay. A number stays within its bounds (those of the family's search space, or the number itself if it lies
    outside); a whole number stays whole and moves by at least 1. Variants equal to `params` are left out.
    """
    numbers = [name for name, value in params.items() if name not in _SEEDS and not isinstance(value, bool | str)]
    variants: list[Variant] = []
    for names, title in [*(((name,), name) for name in numbers), *([(tuple(numbers), "all")] if len(numbers) > 1 else [])]:
        for factor in factors:
            changed = {name: _times(params[name], factor, bounds.get(name)) for name in names}
            if any(changed[name] != params[name] for name in names):
                variants.append(Variant(f"{title} {factor - 1:+.0%}", {**params, **changed}))
    return variants


def _times(value: Param, factor: float, bounds: tuple[float, float] | None) -> Param:
    number = float(value)
    product = number * factor
    if bounds is not None:
        product = min(max(product, min(bounds[0], number)), max(bounds[1], number))
    if not isinstance(value, int):
        return product
    whole = round(product)
    if whole == value and product != number:
        whole = value + (1 if product > number else -1)
    if bounds is not None and not min(bounds[0], number) <= whole <= max(bounds[1], number):
        return value
    return whole


def _out_of_fold(parts: Sequence[Fold], family: Family, params: Params, seed: int) -> OutOfFold:
    return OutOfFold(
        np.concatenate([np.full(len(part.y_held_out), number) for number, part in enumerate(parts)]),
        np.concatenate([part.held_out for part in parts]),
        np.concatenate([part.y_held_out for part in parts]),
        np.concatenate(list(_probabilities(parts, family, params, seed))),
    )


def _probabilities(parts: Sequence[Fold], family: Family, params: Params, seed: int) -> Iterator[np.ndarray]:
    for part in parts:
        model = family.final(params, seed, len(part.X_fit))
        model.fit(part.X_fit, part.y_fit, **part.weights)
        yield np.asarray(model.predict_proba(part.X_held_out), dtype=np.float64)
