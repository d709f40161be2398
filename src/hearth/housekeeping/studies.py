"""Searches that were never ended: a training removes its own when its version is registered, one that failed leaves it.

Statements on Optuna's tables, because Optuna is not installed where housekeeping can run; a test compares their names with Optuna's.
"""

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from hearth.errors import StudiesUnavailable
from hearth.housekeeping.report import KEPT, REMOVED, SKIPPED, Item
from hearth.housekeeping.rules import Rules
from hearth.modelling.studies_url import read_studies_url, wrong_studies_url
from hearth.modelling.trials import STUDY_PLANNED

_LOGGER = logging.getLogger(__name__)
_CONNECT_SECONDS = 10
OF_TRIALS = ("heartbeats", "intermediate_values", "params", "system_attributes", "user_attributes", "values")
OF_STUDIES = ("study_directions", "study_system_attributes", "study_user_attributes", "trials", "studies")  # what refers to others first
_PLANNED = """
SELECT s.study_id, s.study_name, a.value_json FROM studies s
LEFT JOIN study_user_attributes a ON a.study_id = s.study_id AND a.key = %s ORDER BY s.study_id
"""
_SEEN = "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


def remove_old_studies(url: str, rules: Rules, now: datetime, *, applies: bool) -> Iterator[Item]:
    """Remove searches that were planned before the days of the trash.

    Raises:
        InvalidSettings: the URL is not one of PostgreSQL.
        StudiesUnavailable: the database does not answer, or refuses.
    """
    if not url:
        yield Item("search", "", SKIPPED, "HEARTH_STUDIES_URL is not set")
        return
    place = read_studies_url(url)
    try:
        with _connect(place) as connection:
            yield from _remove(connection, rules, now, applies=applies)
    except psycopg.Error as error:
        raise StudiesUnavailable(place.render_as_string(hide_password=True), " ".join(str(error).split())) from error


def _connect(place: URL) -> "psycopg.Connection[tuple[object, ...]]":
    """Open the database by parts of its URL: libpq would tell the whole of a URL that it cannot read, with the password."""
    parts = {**place.query, **place.translate_connect_args(username="user", database="dbname"), "connect_timeout": _CONNECT_SECONDS}
    try:
        return psycopg.connect(autocommit=True, **parts)
    except psycopg.ProgrammingError:  # an option that libpq does not know; it may be the rest of a password with a ?
        raise wrong_studies_url() from None


def _remove(connection: "psycopg.Connection[tuple[object, ...]]", rules: Rules, now: datetime, *, applies: bool) -> Iterator[Item]:
    if connection.execute("SELECT to_regclass('studies')").fetchone() == (None,):
        return  # no search was ever shared
    for study, name, planned in connection.execute(_PLANNED, (STUDY_PLANNED,)).fetchall():
        if planned is None:  # one that is being made, or whose maker died right then
            if applies:
                connection.execute(_SEEN, (study, STUDY_PLANNED, json.dumps(now.isoformat())))
            yield Item("search", str(name), KEPT, "says not since when it is there: counted from now")
            continue
        if not rules.is_old_trash(datetime.fromisoformat(json.loads(str(planned))), now):
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
