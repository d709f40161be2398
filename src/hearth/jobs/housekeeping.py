"""Housekeeping as a task: the report is a table in its log, and its return value."""

import logging

from hearth.housekeeping import keep_house
from hearth.settings import HousekeepingSettings

_LOGGER = logging.getLogger(__name__)


def housekeeping(*, applies: bool, settings: HousekeepingSettings | None = None) -> dict[str, object]:
    """Do one pass and return its report, without the names of single things: those that went are lines of the log.

    Raises what `keep_house` raises.
    """
    report = keep_house(settings, applies=applies)
    for line in report.to_text().splitlines():
        _LOGGER.info("%s", line)
    return report.to_json()
