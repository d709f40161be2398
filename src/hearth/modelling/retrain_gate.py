"""Whether a version that was trained again may be deployed: it must win on the newest labelled records, and may not forget the old ones.

Pure. The interval of the gain is corrected for the number of candidates, because the best of several is also the luckiest.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from hearth.contracts import Contract
from hearth.modelling.comparison import Comparison
from hearth.modelling.gate import TRAINED_ON_ROWS


@dataclass(frozen=True)
class RetrainVerdict:
    """Whether a version is deployed, and why.

    `recent` compares it with the champion on the records held out, `old` on the test set of the data published last; None where they could
    not be compared. `candidates` is how many the version was chosen from.
    """

    version: str
    champion: str
    passed: bool
    reasons: tuple[str, ...]
    candidates: int
    recent: Comparison | None = None
    old: Comparison | None = None

    def to_json(self) -> bytes:
        """Write the verdict as a tag and the table `retrains` hold it."""
        return _VERDICT.dump_json(self)

    @staticmethod
    def from_json(content: str | bytes) -> "RetrainVerdict | None":
        """Read what `to_json` wrote; None for anything else, since anyone may write a tag in MLflow."""
        try:
            return _VERDICT.validate_json(content)
        except ValidationError:
            return None


_VERDICT = TypeAdapter(RetrainVerdict)


def recent_level(contract: Contract, candidates: int) -> float:
    """Return the confidence level of the comparison on the records held out, for the best of so many candidates (Bonferroni)."""
    return 1 - (1 - contract.gate.level) / max(candidates, 1)


def judge_retrained(  # noqa: PLR0913, PLR0917 - what is judged
    contract: Contract, version: str, champion: str, candidates: int, recent: Comparison | str, old: Comparison | str
) -> RetrainVerdict:
    """Judge a version by its comparisons with the champion; a text in place of one says why there is none.

    A champion that cannot be compared stands in nobody's way, as at the gate. Where it was trained on more than half of the records held
    out, or on so many that those left lack a class, nobody can tell, and it stays.
    """
    words, reasons, passed = contract.retrain, [], True
    if isinstance(recent, str):
        passed = TRAINED_ON_ROWS not in recent
        reasons.append(recent if passed else f"{recent}: nobody can tell which is better")
    elif recent.rows < words.held_out // 2:
        passed = False
        reasons.append(f"the champion was trained on all but {recent.rows} of the records held out: nobody can tell which is better")
    else:
        passed = recent.is_better
        best_of = f", as the best of {candidates}" if candidates > 1 else ""
        reasons.append(
            f"on the {recent.rows} newest labelled records its {contract.metric} differs from that of champion version {champion} by "
            f"{recent.metric}{best_of}: {'better by more than noise' if passed else 'not better by more than noise'}"
        )
    if isinstance(old, str):
        reasons.append(old)
    else:
        keeps = old.metric.high >= -words.old_test_loss
        passed = passed and keeps
        reasons.append(
            f"on {old.rows} test rows of the data published last it differs by {old.metric}; "
            f"{'at most' if keeps else 'surely more than'} {words.old_test_loss:g} may be lost (retrain.old_test_loss)"
        )
    compared = (None if isinstance(each, str) else each for each in (recent, old))
    return RetrainVerdict(version, champion, passed, tuple(reasons), candidates, *compared)
