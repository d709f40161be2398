"""Shapley values of the probabilities of any model, sampled over random orders of the columns.

The value of a column is its mean gain over all orders of the columns and all background rows (Štrumbelj and Kononenko 2014, "Explaining
prediction models and individual predictions with feature contributions"). Each background row gets one random order here, walked forth and
back: such pairs cancel what two columns do together (Mitchell and others 2022, "Sampling permutations for Shapley value estimation"). On
a walk the values of the row are replaced by those of the record, one column at a time; a column whose value is the same in both
gains nothing and is not scored. All rows of a record are scored in one call.
"""

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.explaining.background import Background, representatives
from hearth.serving.explaining.model import Attribution, Unit, contract_order

DRAWN_ROWS = 512
BACKGROUND_ROWS = 64
_SEED = 20_261_129


class SampledContributions:
    """Contributions to the probability of a class, by one version; the same record has the same ones in every call."""

    unit = Unit.PROBABILITY

    def __init__(self, contract: Contract, scorer: CompiledScorer, drawn: Background, rows: int = BACKGROUND_ROWS) -> None:
        """Choose the background rows of this version (a power of two) among those drawn, and score them."""
        outputs = scorer.score_columns(drawn.columns).probabilities
        chosen = representatives(drawn.columns, outputs, rows)
        background = _table(drawn.columns)[chosen]
        self._numbers = drawn.columns.numbers.shape[1]
        self._contract_order = contract_order(contract)
        self._rows = np.concatenate([background, background])  # (walks, columns): one walk forth and one back for each row
        self._outputs = outputs[chosen]  # (rows, classes)
        forth = np.array([np.random.default_rng([_SEED, row]).permutation(background.shape[1]) for row in range(len(chosen))])
        self._order = np.concatenate([forth, forth[:, ::-1]])  # (walks, columns): the column that each step of a walk replaces
        self._rank = np.argsort(self._order, axis=1)  # (walks, columns): the step that replaces each column
        self.method = f"Shapley values sampled over {len(self._order)} orders of the columns, against {len(chosen)} of {drawn.origin}"

    @property
    def background(self) -> np.ndarray:
        """The background rows (rows, columns), numbers before codes of categories."""
        return self._rows[: len(self._outputs)]

    def attribute(self, scorer: CompiledScorer, columns: Columns) -> Attribution:
        """Explain the records one after the other."""
        contributions = [self._explain(scorer, record) for record in _table(columns)]
        return Attribution(np.stack(contributions)[:, self._contract_order], self._outputs.mean(axis=0))

    def _explain(self, scorer: CompiledScorer, record: np.ndarray) -> np.ndarray:
        """Return contributions (columns, classes), numbers before categories."""
        differs = (record != self._rows) & ~(np.isnan(record) & np.isnan(self._rows))
        moves = np.take_along_axis(differs, self._order, axis=1)  # (walks, steps)
        arrives = moves & (np.cumsum(moves, axis=1) == moves.sum(axis=1, keepdims=True))  # the step after which a row is the record
        walks, steps = np.nonzero(moves & ~arrives)
        between = np.where(self._rank[walks] <= steps[:, None], record, self._rows[walks])
        scored = scorer.score_columns(self._columns(np.concatenate([between, record[None]]))).probabilities
        outputs = np.concatenate([self._outputs, scored])

        # the output after each step, by its place in `outputs`; places grow along a walk, so a step that moves nothing keeps the last
        place = np.zeros((len(moves), moves.shape[1] + 1), dtype=np.intp)
        place[:, 0] = np.arange(len(moves)) % len(self._outputs)
        place[walks, steps + 1] = len(self._outputs) + np.arange(len(walks))
        place[:, 1:][arrives] = len(outputs) - 1
        gains = np.diff(outputs[np.maximum.accumulate(place, axis=1)], axis=1)  # (walks, steps, classes)
        return np.asarray(np.take_along_axis(gains, self._rank[:, :, None], axis=1).mean(axis=0))

    def _columns(self, table: np.ndarray) -> Columns:
        return Columns(np.ascontiguousarray(table[:, : self._numbers]), table[:, self._numbers :].astype(np.intp))


def _table(columns: Columns) -> np.ndarray:
    """Return the columns as one table (n, columns) float64, numbers before codes."""
    return np.concatenate([columns.numbers, columns.codes], axis=1)
