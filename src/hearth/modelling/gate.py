"""Which version gets which alias. Pure: probabilities in, decisions out.

All versions of a decision are compared on the same rows, and the difference of the contract's metric has a paired interval. `Gate` of the
contract says what passes. A version whose model cannot be loaded is not compared, and one that was made from generated data has no claim
to an alias once real data are published.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from hearth.contracts import Contract
from hearth.contracts.origins import GENERATED, UNKNOWN, Origin
from hearth.modelling.approval import Approval
from hearth.modelling.bounds import BoundResult, judge_bounds
from hearth.modelling.comparison import Comparison, compare
from hearth.modelling.evaluation import metric as score_codes

TRAINED_ON_ROWS = "it was trained on these test rows"
"""Why a version has no probabilities where too few rows are left that it does not know."""


@dataclass(frozen=True)
class ComparedRows:
    """The rows that versions are compared on: raw features, and codes of the classes, shape (rows,).

    `real` is the digest of the real data that were published last, empty if none ever were.
    """

    X: pd.DataFrame
    truth: np.ndarray
    real: str = ""


@dataclass(frozen=True, eq=False)
class Entrant:
    """A version at the gate: its probabilities of the rows, shape (rows, classes), or the reason in `refused` why there are none.

    `size` is the number of bytes that its pipeline is stored in.
    """

    version: str
    probabilities: np.ndarray | None
    size: int = 1
    origin: Origin = UNKNOWN
    refused: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a version may have an alias, and why. `comparison` is with the version `holder` that had it, if they could be compared."""

    passed: bool
    reason: str
    holder: str = ""
    comparison: Comparison | None = None
    bounds: tuple[BoundResult, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The result of promoting a version: whether it has its family's alias, which version is champion, and why.

    `digest` and `rows` say what it was compared on, `origin` what it was made from; `score` is the contract's `metric` on these rows.
    `approval` is the answer of a person, where the contract asks for one; a version that waits for it has not passed yet.
    """

    dataset: str
    family: str
    version: str
    passed: bool
    score: float | None
    champion: str | None
    reasons: tuple[str, ...]
    metric: str = ""
    digest: str = ""
    rows: int = 0
    origin: Origin = UNKNOWN
    verdict: Verdict | None = None
    approval: Approval | None = None

    @property
    def waits(self) -> bool:
        """Whether the version has passed the gate and waits for a person."""
        return self.approval is not None and self.approval.state == "waiting"

    def to_json(self) -> bytes:
        """Write the decision as `gate.json` holds it."""
        return _DECISION.dump_json(self, indent=2)

    @staticmethod
    def from_json(content: str | bytes) -> "Decision | None":
        """Read what `to_json` wrote; None for anything else, since anyone may write a tag in MLflow."""
        try:
            return _DECISION.validate_json(content)
        except ValidationError:
            return None


_DECISION = TypeAdapter(Decision)


def unseen_rows(X_test: pd.DataFrame, train_sets: Iterable[pd.DataFrame]) -> np.ndarray:
    """Return a mask of shape (rows,) of the test rows that are in none of the train sets.

    A version of earlier data may have been fitted on rows that are test rows now. A nearest-neighbour model would know them by heart, and
    no new version could be as good.
    """
    rows = _row_hashes(X_test, X_test.columns)
    unseen = np.ones(len(rows), dtype=bool)
    for train in train_sets:
        unseen &= ~np.isin(rows, _row_hashes(train, X_test.columns))
    return unseen


def decide(contract: Contract, rows: ComparedRows, alias: str, candidate: Entrant, holder: Entrant | None) -> Verdict:
    """Decide whether the candidate takes a family's alias from the version that has it.

    It must have a claim, break no bound of the contract, and win the comparison with a holder that can be compared and has a claim.
    """
    if (problem := claim_problem(rows, candidate)) is not None:
        return Verdict(passed=False, reason=f"version {candidate.version} does not get {alias!r}: {problem}")
    rival = None if holder is None or holder.version == candidate.version else holder
    unfit = _unfit(contract, rows, rival) if rival else None
    comparison = _compare(contract, rows, candidate, rival) if rival and unfit is None else None
    bounds = judge_bounds(contract, rows.X, rows.truth, _probabilities(candidate), comparison)
    passed, why = True, f"it carries {alias!r} already" if holder else f"{alias!r} was free"
    if broken := _broken(bounds):
        passed, why = False, f"it does not get {alias!r}: {broken}"
    elif rival and comparison is None:
        why = f"version {rival.version}, which carried {alias!r}, could not be compared: {unfit}"
    elif rival and comparison is not None:
        passed, reason = _passes(contract, comparison, contract.gate.passes)
        held = (
            f"version {rival.version}, which carries {alias!r}, has {_score(contract, rows, rival):.4f} on the same {comparison.rows} rows"
        )
        why = f"{held}; {reason}{'' if passed else ': it stays'}"
    scored = f"version {candidate.version} has {contract.metric} {_score(contract, rows, candidate):.4f}"
    return Verdict(passed, f"{scored}; {why}", rival.version if rival and comparison else "", comparison, bounds)


def choose_champion(
    contract: Contract, rows: ComparedRows, families: Mapping[str, Entrant], champion: Entrant | None
) -> tuple[str | None, str]:
    """Choose among the versions that carry the family aliases.

    The leader is the family of the lowest log loss among those that are within noise of the best by the metric. The present champion stays
    unless the leader, or else the best by the metric, is better by more than noise: in a tie nothing moves. Equal families are taken in
    alphabetical order.

    Returns:
        The version for the alias `champion`, None if no family has a version that may have it; and why.
    """
    able = {name: entrant for name, entrant in sorted(families.items()) if _unfit(contract, rows, entrant) is None}
    if not able:
        return (champion.version if champion else None), "no family has a version that may be champion"
    family, why_leader = choose_leader(contract, rows, able)
    leader = able[family]
    first = f"{family} version {leader.version} {why_leader}"
    if champion is None:
        return leader.version, f"{first}; there was no champion"
    if champion.version == leader.version:
        return leader.version, f"{first}; it is the champion"
    if (problem := _unfit(contract, rows, champion)) is not None:
        return leader.version, f"{first}; champion version {champion.version} could not be compared: {problem}"
    rule = "better" if contract.gate.passes == "better" else "tie_break"
    against = f"champion version {champion.version} has {_score(contract, rows, champion):.4f}"
    refusals: list[str] = []
    for name in dict.fromkeys((family, _best(contract, rows, able))):  # the leader is close to the best, which alone may be better
        if able[name].version == champion.version:
            continue
        passed, why = _passes(contract, _compare(contract, rows, able[name], champion), rule)
        compared = f"{name} version {able[name].version} against champion: {why}"
        if passed:
            return able[name].version, "; ".join((first, against, *refusals, compared))
        refusals.append(compared)
    return champion.version, f"{'; '.join((first, against, *refusals))}: it stays"


def choose_leader(contract: Contract, rows: ComparedRows, able: Mapping[str, Entrant]) -> tuple[str, str]:
    """Choose the family of the lowest log loss among those within noise of the best by the metric; returns its name and why.

    If the contract breaks no ties by the log loss, it is the best by the metric.
    """
    scores = {name: _score(contract, rows, entrant) for name, entrant in able.items()}
    best = _best(contract, rows, able)
    if "log_loss" not in contract.gate.ties or contract.gate.passes == "better":
        return best, f"is the best family with {contract.metric} {scores[best]:.4f}"
    compared = {name: _compare(contract, rows, entrant, able[best]) for name, entrant in able.items() if name != best}
    close = {best: 0.0} | {name: comparison.log_loss.figure for name, comparison in compared.items() if not comparison.is_worse}
    leader = min(close, key=lambda name: (close[name], -scores[name]))
    if leader == best:
        return best, f"is the best family with {contract.metric} {scores[best]:.4f}"
    return leader, (
        f"leads the families: its {contract.metric} {scores[leader]:.4f} equals the best, {scores[best]:.4f} of {best}, within noise, "
        f"and its log loss is lower by {-close[leader]:.4f}"
    )


def score(contract: Contract, rows: ComparedRows, entrant: Entrant) -> float | None:
    """Return the contract's metric of an entrant, None if it has no probabilities."""
    return None if entrant.probabilities is None else _score(contract, rows, entrant)


def has_claim(rows: ComparedRows, entrant: Entrant) -> bool:
    """Return whether a version may have an alias by what it was made from: generated data have no claim once real data are published."""
    return not rows.real or entrant.origin != GENERATED


def claim_problem(rows: ComparedRows, entrant: Entrant) -> str | None:
    """Return why a version can neither have an alias nor be compared; None if it can."""
    if entrant.probabilities is None:
        return entrant.refused
    if not has_claim(rows, entrant):
        return f"it was made from generated data, and real data are published ({rows.real})"
    return None


def _unfit(contract: Contract, rows: ComparedRows, entrant: Entrant) -> str | None:
    """Return why a version cannot stand in another's way: it has no claim, or breaks a bound; None if it can."""
    if (problem := claim_problem(rows, entrant)) is not None:
        return problem
    return _broken(judge_bounds(contract, rows.X, rows.truth, _probabilities(entrant), None)) or None


def _broken(bounds: Iterable[BoundResult]) -> str:
    return "; ".join(str(result) for result in bounds if result.answer == "broken")


def _passes(contract: Contract, comparison: Comparison, rule: str) -> tuple[bool, str]:
    """Apply what the contract lets pass; returns the answer and the reason."""
    difference = f"the difference is {comparison.metric}"
    if rule == "not_worse":
        passed = comparison.metric.low >= -contract.gate.margin
        return passed, f"{difference}, {'within' if passed else 'not surely within'} the margin of {contract.gate.margin:g}"
    if comparison.is_better:
        return True, f"{difference}, better by more than noise"
    if comparison.is_worse:
        return False, f"{difference}, worse by more than noise"
    for measure in contract.gate.ties if rule == "tie_break" else ():
        if favours := comparison.breaks_tie(measure):
            figure = (
                f"log loss differs by {comparison.log_loss}" if measure == "log_loss" else f"it takes {comparison.size:.2f} of the bytes"
            )
            return favours > 0, f"{difference}, equal within noise, and {figure}"
    return False, f"{difference}, equal within noise"


def _best(contract: Contract, rows: ComparedRows, able: Mapping[str, Entrant]) -> str:
    """Return the family of the best metric; among equals the first."""
    return max(able, key=lambda name: _score(contract, rows, able[name]))


def _compare(contract: Contract, rows: ComparedRows, candidate: Entrant, holder: Entrant) -> Comparison:
    level, size = contract.gate.level, candidate.size / holder.size
    return compare(contract.metric, rows.truth, _probabilities(candidate), _probabilities(holder), level=level, size=size)


def _score(contract: Contract, rows: ComparedRows, entrant: Entrant) -> float:
    return score_codes(contract, rows.truth, _probabilities(entrant).argmax(axis=1))


def _probabilities(entrant: Entrant) -> np.ndarray:
    if entrant.probabilities is None:
        message = f"version {entrant.version} has no probabilities: {entrant.refused}"
        raise ValueError(message)
    return entrant.probabilities


def _row_hashes(frame: pd.DataFrame, columns: pd.Index) -> np.ndarray:
    ordered = frame[list(columns)]
    numbers = ordered.select_dtypes("number").columns  # a column of whole numbers has another type once a value is missing
    return pd.util.hash_pandas_object(ordered.astype(dict.fromkeys(numbers, np.float64)), index=False).to_numpy()
