"""Labels that a confident model contradicts.

Confident learning (Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70, 2021): a row counts
for another class if its held-out probability of that class reaches the mean of the rows that have this label. Near a border between classes
that is no mistake, and where classes overlap a model is rightly unsure. So it is a warning only if, among the third of the rows that the
model is surest of in every class that it predicts often, either it is sure (0.94 in the mean) and surely more than 1.5 % are contradicted,
or surely more than 0.7 % have a label that is not even the second likeliest. Mistakes in the labels of one class alone, or between two
classes that overlap, are no warning by that: the list of rows shows them.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import beta

from hearth.data.checks.quick_model import held_out_probabilities
from hearth.data.checks.report import Finding, Level, first_lines
from hearth.data.checks.table import CheckedRows

_MOST_ROWS, _FOLDS = 6_000, 3
_SUREST = 1 / 3
_SURE, _WRONG_SHARE, _FAR_SHARE, _LEVEL = 0.94, 0.015, 0.007, 0.99
_FEWEST, _FEWEST_SURE = 60, 30


def find_wrong_labels(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding about the rows whose label a model contradicts that was not fitted on them."""
    rows = rows.take(np.sort(rows.distinct)).sample(_MOST_ROWS)
    counts = np.bincount(rows.codes, minlength=len(rows.contract.target.classes))
    usable = np.flatnonzero(np.isin(rows.codes, np.flatnonzero(counts >= _FOLDS)))
    rows = rows.take(usable)
    if len(rows) < _FEWEST or (counts >= _FOLDS).sum() < 2:  # noqa: PLR2004 - one class contradicts nothing
        return
    probabilities = held_out_probabilities(rows.matrix, rows.codes, len(counts), _FOLDS)
    contradicted = confident_contradictions(probabilities, rows.codes)
    if not contradicted.any():
        return
    surest = _surest(probabilities)
    by_class = [contradicted[sure] for sure in surest]
    surely = min((_lower_bound(wrong) for wrong in by_class), default=0.0)
    own = probabilities[np.arange(len(rows)), rows.codes]
    far = (probabilities > own[:, None]).sum(axis=1) > 1  # the label is the third likeliest at best
    surely_far = min((_lower_bound(far[sure]) for sure in surest), default=0.0)
    sureness = float(np.mean([probabilities[sure].max(axis=1).mean() for sure in surest])) if surest else 0.0
    share = float(np.concatenate(by_class).mean()) if by_class else 0.0
    found = np.flatnonzero(contradicted)
    found = found[np.argsort(own[found], kind="stable")]
    level: Level = "warn" if (sureness >= _SURE and surely > _WRONG_SHARE) or surely_far > _FAR_SHARE else "info"
    yield Finding(
        "labels",
        level,
        f"a model contradicts {contradicted.mean():.1%} of the labels, and {share:.1%} where it is surest "
        f"(surely more than {surely:.1%} in each class).",
        "Look at the first of them, the most contradicted come first: are labels wrong?"
        if level == "warn"
        else "As many as borders between classes make; the most contradicted come first.",
        (rows.contract.target.column,),
        {
            "contradicted": float(contradicted.mean()),
            "contradicted_where_sure": share,
            "surely_above": surely,
            "surely_far_above": surely_far,
            "sureness": sureness,
            "rows": float(len(rows)),
        },
        len(found),
        first_lines(rows.lines[found]),
    )


def _surest(probabilities: np.ndarray) -> list[np.ndarray]:
    """Return for each class that is predicted often the positions of the rows that the model is surest of."""
    predicted, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    found = []
    for code in range(probabilities.shape[1]):
        rows = np.flatnonzero(predicted == code)
        chosen = rows[np.argsort(-sureness[rows], kind="stable")][: int(_SUREST * len(rows))]
        if len(chosen) >= _FEWEST_SURE:
            found.append(chosen)
    return found


def _lower_bound(wrong: np.ndarray) -> float:
    """Return what the true share surely exceeds (Clopper and Pearson)."""
    hits = int(wrong.sum())
    return float(beta.ppf(1 - _LEVEL, hits, len(wrong) - hits + 1)) if hits else 0.0


def confident_contradictions(probabilities: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return which labels confident learning takes for another class, shape (rows,).

    Args:
        probabilities: Held out, shape (rows, classes).
        codes: The label of each row, shape (rows,).
    """
    classes = probabilities.shape[1]
    thresholds = np.array([probabilities[codes == code, code].mean() if (codes == code).any() else np.inf for code in range(classes)])
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    likeliest = reached.argmax(axis=1)
    contradicted: np.ndarray = (reached.max(axis=1) > 0) & (likeliest != codes)
    return contradicted
