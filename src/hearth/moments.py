"""Moments as people write them on a command line."""

from datetime import UTC, datetime


def parse_moment(text: str) -> datetime:
    """Read `2026-11-21` or `2026-11-21T08:00:00+01:00`; without a zone it is UTC.

    Raises:
        ValueError: it is neither.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
