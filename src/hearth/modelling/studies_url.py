"""The address of the database of searches, read in one way by all who use it: Optuna's storage and housekeeping."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from hearth.errors import InvalidSettings

_DRIVER = "postgresql+psycopg"


def read_studies_url(text: str) -> URL:
    """Return the URL as SQLAlchemy has it, with the driver that is installed, whether or not the text names one.

    Raises:
        InvalidSettings: no URL, or not one of PostgreSQL. The message has nothing of the text: it holds a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the second for a port that is no number
        raise wrong_studies_url() from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise wrong_studies_url()
    return url.set(drivername=_DRIVER)


def wrong_studies_url() -> InvalidSettings:
    """Return the error that says what is expected."""
    return InvalidSettings(
        "HEARTH_STUDIES_URL is no URL of a PostgreSQL database: expected postgresql://user:password@host:port/database, "
        "with %25 for a % in the password, and so on."
    )
