"""Reports of what records turned out to be: those of one request, or one file, are one row."""

from collections.abc import Collection, Mapping

from hearth.audit.entry import Action, Entry, Result, new_entry
from hearth.predictions.feedback import REFUSED


def reported(datasets: Collection[str], outcomes: Mapping[str, int], subject: str = "") -> Entry:
    """Return the row of reports about these data sets, of which `outcomes` has the numbers; `subject` names the file that they are from."""
    names = sorted(datasets)
    detail: dict[str, object] = {"reports": sum(outcomes.values()), "outcomes": dict(sorted(outcomes.items()))}
    if len(names) > 1:
        detail["datasets"] = names
    return new_entry(
        Action.LABELS_REPORTED,
        result=Result.DONE if outcomes.keys() - {REFUSED} else Result.REFUSED,
        dataset=names[0] if len(names) == 1 else "",
        subject=subject,
        detail=detail,
    )
