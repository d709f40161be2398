"""What tasks write into the audit trail. What a task did is done, whether or not the store answers: then its log has the row."""

from collections.abc import Mapping

from hearth.audit import Action, Actor, Entry, Result, current_actor, new_entry, open_trail
from hearth.audit.trail import LogTrail
from hearth.errors import InvalidSettings
from hearth.modelling.approval import Approval
from hearth.settings import MonitorSettings


def record(*entries: Entry) -> None:
    """Write rows by the monitor's way into the store; without one the log alone has them."""
    try:
        url = MonitorSettings().monitor_url.get_secret_value()
    except InvalidSettings:
        url = ""
    if not url:
        for entry in entries:
            LogTrail().record(entry)
        return
    with open_trail(url) as trail:
        for entry in entries:
            trail.record(entry)


def moved(dataset: str, before: Mapping[str, str], after: Mapping[str, str], detail: Mapping[str, object]) -> list[Entry]:
    """Return a row for each alias that a task has moved; `previous`, which follows the champion, is in the row of that."""
    return [
        new_entry(
            Action.PROMOTED,
            dataset=dataset,
            alias=alias,
            version=version,
            detail={"before": before.get(alias), "previous": after.get("previous") if alias == "champion" else None, **detail},
        )
        for alias, version in sorted(after.items())
        if alias != "previous" and before.get(alias) != version
    ]


def refused(dataset: str, alias: str, version: str, why: str) -> Entry:
    """Return the row of a version that the gate did not let pass."""
    return new_entry(Action.PROMOTED, result=Result.REFUSED, dataset=dataset, alias=alias, version=version, detail={"why": why})


def answered(dataset: str, alias: str, version: str, approval: Approval) -> Entry:
    """Return the row of the answer that a person has given in Airflow, by his name there; a comment stays with the version."""
    actor = Actor("user", approval.by, "airflow", current_actor().name)
    detail = {"answer": approval.state, "at": approval.at}
    return new_entry(Action.APPROVAL_ANSWERED, dataset=dataset, alias=alias, version=version, detail=detail, actor=actor)
