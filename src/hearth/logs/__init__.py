"""Logging of Hearth's processes: one line an event on standard error, for people or as JSON; docs/administration.md.

context   what a line is about: data set, alias, version, message, request
forms     how a line is written
printed   what libraries print, as lines of the log
setup     `configure_logging`, which every `main` calls first

It needs the standard library alone, unless the setting has to be read: programs beside MLflow and the launchers use it too.
"""

from hearth.logs.context import about
from hearth.logs.setup import configure_logging

__all__ = ["about", "configure_logging"]
