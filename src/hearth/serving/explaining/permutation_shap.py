"""Shapley values of the probabilities of any model, sampled by shap's permutation explainer.

shap gets no values. Its record is all zeros and row b of its background is all b + 1: each number names the record whose value a column
takes. So numbers, categories and missing values are handled alike, and shap compares whole numbers only.

A round goes through one random order of the columns forth and back, and at each step scores every row of the background. Each round has a
background of its own, which halves the error of one background for all rounds, at the same cost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.explaining.background import Background
from hearth.serving.explaining.model import Attribution, Unit, contract_order

ROUNDS = 5
ROWS_A_ROUND = 50


class SampledContributions:
    """Contributions to the probability of a class; the same record has the same ones in every call."""

    unit = Unit.PROBABILITY

    def __init__(self, contract: Contract, background: Background) -> None:
        self._order = contract_order(contract)
        self._background = background.columns
        self.method = f"permutation Shapley values (shap), {ROUNDS} rounds over {background.origin}"

    def attribute(self, scorer: CompiledScorer, columns: Columns) -> Attribution:
        """Explain the records one after the other."""
        results = [self._explain(scorer, columns.rows(slice(row, row + 1))) for row in range(len(columns))]
        return Attribution(np.stack([contributions for contributions, _ in results])[:, self._order], results[0][1])

    def _explain(self, scorer: CompiledScorer, record: Columns) -> tuple[np.ndarray, np.ndarray]:
        rounds = []
        for number in range(ROUNDS):
            some = self._background.rows(slice(number * ROWS_A_ROUND, (number + 1) * ROWS_A_ROUND))
            rounds.append(_round(scorer, record, some, seed=number))
        contributions, bases = zip(*rounds, strict=True)
        return np.mean(contributions, axis=0), np.mean(bases, axis=0)


def warm_up() -> None:
    """Import shap and let numba compile its functions, which would delay the first explanation of a process by seconds."""
    _shapley(lambda owners: np.stack([owners[:, 0], owners[:, 1]], axis=1), features=2, rows=2, seed=0)


def _round(scorer: CompiledScorer, record: Columns, background: Columns, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return contributions (features, classes), numbers before categories, and the base (classes,)."""
    numbers, codes = np.concatenate([record.numbers, background.numbers]), np.concatenate([record.codes, background.codes])
    count, number_at, code_at = numbers.shape[1], np.arange(numbers.shape[1]), np.arange(codes.shape[1])

    def probabilities(owners: np.ndarray) -> np.ndarray:
        who = owners.astype(np.intp)
        return scorer.score_columns(Columns(numbers[who[:, :count], number_at], codes[who[:, count:], code_at])).probabilities

    return _shapley(probabilities, count + codes.shape[1], len(background), seed)


def _shapley(score: Callable[[np.ndarray], np.ndarray], features: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Run shap on matrices of the owners of values: 0 is the record, b + 1 is row b of the background."""
    import shap  # noqa: PLC0415 - takes a while, and a process that only serves LightGBM does without

    owners = np.repeat(np.arange(1.0, rows + 1)[:, None], features, axis=1)
    with _own_random_state():
        explainer = shap.explainers.Permutation(score, shap.maskers.Independent(owners, max_samples=rows), seed=seed)
        explanation = explainer(np.zeros((1, features)), max_evals=2 * features + 1, silent=True)
    return np.asarray(explanation.values[0], dtype=np.float64), np.asarray(explanation.base_values[0], dtype=np.float64)


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Leave numpy's global generator, which shap seeds and uses, as it was."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
