"""Searches that were never ended: a training removes its own when its version is registered, one that failed leaves it.

Statements on Optuna's tables, because Optuna is not installed where housekeeping can run; a test compares their names with Optuna's.
"""

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import psycopg
from psycopg import sql

from hearth.errors import StudiesUnavailable
from hearth.housekeeping.report import KEPT, REMOVED, SKIPPED, Item
from hearth.housekeeping.rules import Rules
from hearth.modelling.trials import STUDY_PLANNED

_LOGGER = logging.getLogger(__name__)
_CONNECT_SECONDS = 10
OF_TRIALS = ("heartbeats", "intermediate_values", "params", "system_attributes", "user_attributes", "values")
OF_STUDIES = ("study_directions", "study_system_attributes", "study_user_attributes", "trials", "studies")  # what refers to others first
_PLANNED = """
SELECT study_id, study_name, value_json FROM studies LEFT JOIN study_user_attributes USING (study_id)
WHERE key = %s OR key IS NULL ORDER BY study_id
"""


def remove_old_studies(url: str, rules: Rules, now: datetime, *, applies: bool) -> Iterator[Item]:
    """Remove searches that were planned before the days of the trash.

    Raises:
        StudiesUnavailable: the database does not answer, or refuses.
    """
    if not url:
        yield Item("search", "", SKIPPED, "HEARTH_STUDIES_URL is not set")
        return
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, autocommit=True) as connection:
            yield from _remove(connection, rules, now, applies=applies)
    except psycopg.Error as error:
        place = url.rpartition("@")[2]
        raise StudiesUnavailable(place, " ".join(str(error).split())) from error


def _remove(connection: "psycopg.Connection[tuple[object, ...]]", rules: Rules, now: datetime, *, applies: bool) -> Iterator[Item]:
    if connection.execute("SELECT to_regclass('studies')").fetchone() == (None,):
        return  # no search was ever shared
    for study, name, planned in connection.execute(_PLANNED, (STUDY_PLANNED,)).fetchall():
        if planned is not None and not rules.is_old_trash(datetime.fromisoformat(json.loads(str(planned))), now):
            yield Item("search", str(name), KEPT, f"younger than {rules.trash_days:g} days")
            continue
        if applies:
            _delete(connection, study)
            _LOGGER.info("the search %s is gone: it was never ended", name)
        yield Item("search", str(name), REMOVED, "was never ended")


def _delete(connection: "psycopg.Connection[tuple[object, ...]]", study: object) -> None:
    with connection.transaction():
        for table in OF_TRIALS:
            statement = sql.SQL("DELETE FROM {} WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = %s)")
            connection.execute(statement.format(sql.Identifier(f"trial_{table}")), (study,))
        for table in OF_STUDIES:
            connection.execute(sql.SQL("DELETE FROM {} WHERE study_id = %s").format(sql.Identifier(table)), (study,))
