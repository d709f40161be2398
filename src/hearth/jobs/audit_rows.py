"""What tasks write into the audit trail. What a task did is done, whether or not the store answers: then its log has the row."""

import json
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID, uuid5

from hearth.audit import Action, Actor, Entry, Result, current_actor, new_entry
from hearth.audit.trail import record_once
from hearth.errors import InvalidSettings
from hearth.modelling.approval import Approval
from hearth.settings import MonitorSettings

_ANSWERS = UUID("6f1c3a52-8d0e-4b7a-9a35-2f4f0c1d7be4")  # any that differs from other namespaces


def record(*entries: Entry) -> None:
    """Write rows by the monitor's way into the store; without one the log alone has them."""
    try:
        url = MonitorSettings().monitor_url.get_secret_value()
    except InvalidSettings:
        url = ""
    record_once(url, *entries)


def moved(dataset: str, before: Mapping[str, str], after: Mapping[str, str], detail: Mapping[str, object]) -> list[Entry]:
    """Return a row for each alias that a task has moved, between what aliases were right before its move and right after it.

    `previous`, which follows the champion, is in the row of that.
    """
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
    """Return the row of the answer that a person has given in Airflow, by his name there; a comment stays with the version.

    A task that takes the same answer again, as a retry does, writes the same row.
    """
    actor = Actor("user", approval.by, "airflow", current_actor().name)
    detail = {"answer": approval.state, "at": approval.at}
    entry = new_entry(Action.APPROVAL_ANSWERED, dataset=dataset, alias=alias, version=version, detail=detail, actor=actor)
    name = json.dumps([dataset, alias, version, approval.state, approval.by, approval.at])
    return replace(entry, key=uuid5(_ANSWERS, name))
