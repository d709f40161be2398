"""Has the loss risen beyond a bound? A test by betting, which may be looked at after every label, for ever. Pure.

Each answer that gets a label has a loss from 0 to 1: of classes 1 if it is wrong, of numbers any bounded error. The hypothesis is that,
whatever came before, the mean loss is at most `bound`. A gambler who bets the share f of a wealth against that has

    W(t) = W(t-1) (1 + f (loss(t) / bound - 1)),    0 < f < 1,

which in the mean does not grow while the hypothesis holds, so it ever reaches 1 / a with a probability of at most a (Ville 1939; for means
Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"; for served models Podkopaev and Ramdas 2022,
"Tracking the risk of a deployed model and detecting harmful distribution shifts"). The evidence E is the mean wealth of gamblers who differ
in f and in the label that they begin with, an average that keeps the guarantee: one who has bet since the first label has nothing left to
bet after ten thousand good ones. Most of the wealth begins with the first label, the rest later, with the shares of `begun_by`. Gamblers
with the same f are one sum, so the state does not grow with the labels.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from hearth.modelling.comparison import share

_SHARES = np.geomspace(0.0125, 0.4, 12)  # of the wealth that are bet; the best for a mean loss q is (q - bound) / (1 - bound)
_AT_ONCE = 0.7
_HALF_LATER = 5_000.0  # labels by which half of the rest has begun
_LEVEL = 0.95  # of the interval of a test set
_NOTHING = -1e9  # the logarithm of no wealth: infinity is no JSON
_LARGEST = math.log(1e300)


@dataclass(frozen=True)
class EProcess:
    """The test after some labels.

    Attributes:
        bound: the mean loss of the hypothesis, between 0 and 1.
        labels: how many losses it has seen.
        log_wealths: natural logarithms of what the gamblers of each share have.
        log_value: natural logarithm of the evidence E.
        log_highest: of the largest E so far.
    """

    bound: float
    labels: int
    log_wealths: tuple[float, ...]
    log_value: float
    log_highest: float

    @property
    def value(self) -> float:
        """The evidence: 1 at the beginning, the larger the less the hypothesis can be true; at most 1e300."""
        return math.exp(min(self.log_value, _LARGEST))

    @property
    def highest(self) -> float:
        """The largest evidence so far."""
        return math.exp(min(self.log_highest, _LARGEST))

    def to_json(self) -> bytes:
        """Write the state as the store holds it."""
        return _STATE.dump_json(self)

    @staticmethod
    def from_json(content: bytes | str) -> "EProcess":
        """Read what `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _STATE.validate_json(content)


_STATE = TypeAdapter(EProcess)


def begin(bound: float) -> EProcess:
    """Return the test before the first label.

    Raises:
        ValueError: the bound is not between 0 and 1.
    """
    if not 0 < bound < 1:
        raise ValueError(f"a mean loss is tested against a bound between 0 and 1, got {bound}")
    return EProcess(bound, 0, (_NOTHING,) * len(_SHARES), 0.0, 0.0)


def bound_of(reference: float, rows: int, tolerance: float) -> float:
    """Return the bound for a version whose mean loss on the `rows` of a test set was `reference`.

    It is `tolerance` above that, or the upper end of the test set's own interval if that is more: on 61 rows a share of 0.15 is known to
    0.09, and a version that was lucky there would alarm for ever. The interval is that of a share, than which no other loss from 0 to 1
    varies more.
    """
    return max(reference + tolerance, share(reference * rows, rows, _LEVEL).high)


def alarms(path: np.ndarray, chance: float, *, alarmed: bool = False) -> bool:
    """Whether the test alarms after the evidence has gone along a path of `evidence`, shape (labels,).

    An alarm begins with E >= 1 / chance and holds until all evidence is gone, E < 1. `alarmed` says whether it did before the path.
    """
    decided = np.flatnonzero((path >= -math.log(chance)) | (path < 0))
    return bool(path[decided[-1]] >= 0) if len(decided) else alarmed


def advance(state: EProcess, losses: np.ndarray) -> EProcess:
    """Return the test after further losses, shape (labels,), in their order. Any division into calls gives the same to rounding.

    Raises:
        ValueError: a loss is not within 0 to 1.
    """
    if not len(losses):
        return state
    wealths = _wealths(state, losses)
    path = _evidence(state, wealths)
    highest = max(state.log_highest, float(path.max()))
    return EProcess(state.bound, state.labels + len(losses), tuple(wealths[-1].tolist()), float(path[-1]), highest)


def evidence(state: EProcess, losses: np.ndarray) -> np.ndarray:
    """Return the natural logarithm of E after each of further losses, shape (labels,); raises what `advance` raises."""
    return _evidence(state, _wealths(state, losses))


def begun_by(labels: np.ndarray) -> np.ndarray:
    """Return the share of the wealth that has begun to bet with the label of each number, counted from 1; 0 before the first."""
    return np.where(labels > 0, _AT_ONCE + (1 - _AT_ONCE) * labels / (labels + _HALF_LATER), 0.0)


def _evidence(state: EProcess, wealths: np.ndarray) -> np.ndarray:
    labels = state.labels + np.arange(1, len(wealths) + 1)
    waiting = np.log(1 - begun_by(labels))[:, None]  # has not begun to bet, and is worth what it was
    return np.asarray(np.logaddexp.reduce(np.concatenate([wealths, waiting], axis=1), axis=1))


def _wealths(state: EProcess, losses: np.ndarray) -> np.ndarray:
    """Return the logarithms of the wealths after each loss, shape (labels, shares)."""
    if not np.all((losses >= 0) & (losses <= 1)):
        raise ValueError("a loss must be from 0 to 1")
    growth = np.cumsum(np.log1p(_SHARES * (losses[:, None] / state.bound - 1)), axis=0)
    before = np.concatenate([np.zeros((1, len(_SHARES))), growth])[: len(losses)]
    labels = state.labels + np.arange(len(losses) + 1)
    begun = np.log(np.diff(begun_by(labels)) / len(_SHARES))[:, None]  # new wealth, with the label that it first bets on
    # What begins with label s is worth growth(t) - growth(s - 1) at label t: one running sum has all beginnings
    sums = np.logaddexp.accumulate(np.concatenate([np.array(state.log_wealths)[None], begun - before]), axis=0)[1:]
    return np.asarray(growth + sums)
