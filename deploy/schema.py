"""The schema of a database that Alembic keeps: which revisions a package knows, and which one a database has.

Found without importing the package, whose import takes seconds that nearly no start needs. SQLAlchemy is imported where it is used.
"""

import re
from importlib.util import find_spec
from pathlib import Path

_REVISION = re.compile(r"^(?P<name>revision|down_revision)\s*(?::[^=\n]+)?=\s*(?P<value>\([^)]*\)|[^\n]+)", re.MULTILINE)
_ID = re.compile(r"[\"']([0-9a-z_]+)[\"']")


class NewerDatabaseError(Exception):
    """A database has a schema that the installed release does not know; nothing was changed."""


def known_revisions(package: str, folder: str) -> dict[str, tuple[str, ...]]:
    """Return the revisions of an installed package, each with those that it follows; `folder` holds its migrations.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        message = f"{package} is not installed in this Python"
        raise ModuleNotFoundError(message)
    found = {}
    for path in Path(spec.submodule_search_locations[0], folder).glob("*.py"):
        values = {match["name"]: _ID.findall(match["value"]) for match in _REVISION.finditer(path.read_text(encoding="utf-8"))}
        if values.get("revision"):
            found[values["revision"][0]] = tuple(values.get("down_revision", ()))
    return found


def head(revisions: dict[str, tuple[str, ...]]) -> str:
    """Return the revision that no other follows."""
    followed = {before for befores in revisions.values() for before in befores}
    [last] = revisions.keys() - followed
    return last


def present_revision(uri: str, table: str = "alembic_version") -> str | None:
    """Return the revision of a database; None if nothing has been migrated in it yet.

    Raises:
        sqlalchemy.exc.OperationalError: it does not answer.
    """
    from sqlalchemy import create_engine, inspect, make_url, text  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine(make_url(uri), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(table):
                return None
            revision = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608 - a name of ours
            return None if revision is None else str(revision)
    finally:
        engine.dispose()


def refuse_newer(name: str, installed: str, present: str | None, revisions: dict[str, tuple[str, ...]]) -> None:
    """Check that a database is not of a newer release than the installed one.

    Raises:
        NewerDatabaseError: it is: no release can take a schema back.
    """
    if present is not None and present not in revisions:
        raise NewerDatabaseError(
            f"{name}'s database has the schema {present}, which {name} {installed} does not know: a newer release has written it. "
            "Start that release of Hearth again, or restore a backup of before the upgrade (docs/upgrade.md). Nothing was changed."
        )
