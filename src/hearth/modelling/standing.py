"""How a version does on the present test set, with intervals and bounds: what every list of versions shows. Pure."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from hearth.contracts import Contract
from hearth.contracts.origins import UNKNOWN, Origin
from hearth.modelling.bounds import BoundResult, calibration_interval, judge_bounds
from hearth.modelling.comparison import Interval, log_loss_interval, metric_interval
from hearth.modelling.evaluation import evaluate_probabilities
from hearth.modelling.gate import ComparedRows, Entrant, claim_problem, has_claim


@dataclass(frozen=True)
class Standing:
    """A version on the test set of the data `digest`: on its `rows` that the version was not trained on.

    `origin` is where these data came from. `has_claim` is false for a version of generated data once real data are published. `problem`
    says why it has no score, or no claim; else it is empty.
    """

    digest: str
    origin: Origin
    rows: int
    metric: str
    score: Interval | None = None
    log_loss: Interval | None = None
    calibration_error: Interval | None = None
    bounds: tuple[BoundResult, ...] = ()
    problem: str = ""
    has_claim: bool = True

    def to_json(self) -> bytes:
        """Write the standing as the registry keeps it."""
        return _STANDING.dump_json(self)

    @staticmethod
    def from_json(content: str) -> "Standing | None":
        """Read what `to_json` wrote; None for anything else, since anyone may write a tag in MLflow."""
        try:
            return _STANDING.validate_json(content)
        except ValidationError:
            return None


_STANDING = TypeAdapter(Standing)


def stand(contract: Contract, rows: ComparedRows, entrant: Entrant, digest: str, origin: Origin = UNKNOWN) -> Standing:
    """Compute the standing of a version on the rows of the test set of `digest` that it was not trained on."""
    problem = claim_problem(rows, entrant) or ""
    if entrant.probabilities is None:
        return Standing(digest, origin, len(rows.truth), contract.metric, problem=problem, has_claim=has_claim(rows, entrant))
    level = contract.gate.level
    evaluation = evaluate_probabilities(contract, rows.truth, entrant.probabilities)
    return Standing(
        digest=digest,
        origin=origin,
        rows=len(rows.truth),
        metric=contract.metric,
        score=metric_interval(contract.metric, evaluation.confusion, level=level),
        log_loss=log_loss_interval(rows.truth, entrant.probabilities, level=level),
        calibration_error=calibration_interval(rows.truth, entrant.probabilities, level),
        bounds=judge_bounds(contract, rows.X, rows.truth, entrant.probabilities, None),
        problem=problem,
        has_claim=has_claim(rows, entrant),
    )
