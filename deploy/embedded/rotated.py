"""Variables that have changed since supervisord started, in the form of its configuration: `hearth secrets rotate` writes them.

supervisord gives its own environment to programs, and nothing changes that while it runs. A file that it includes can say more.
"""

import glob
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path

from deploy.embedded.launcher import SettingError


def include_pattern(path: Path) -> str:
    """Return a pattern of supervisord's [include] that finds this file; blanks would end it."""
    return "".join("?" if character.isspace() else character for character in glob.escape(str(path)))


def sections(configuration: Path, variables: Mapping[str, str]) -> str:
    """Return a section for each program of supervisord's configuration that adds these variables to those that it has there.

    Raises:
        SettingError: a value cannot be written there.
    """
    parser = RawConfigParser(inline_comment_prefixes=(";",), strict=True)
    parser.read(configuration, encoding="utf-8")
    added = ",".join(f"{name}={_quoted(name, value)}" for name, value in sorted(variables.items()))
    lines = []
    for section in parser.sections():
        if section.startswith("program:"):
            own = parser.get(section, "environment", fallback="")
            lines += [
                f"[{section}]",
                f"environment={','.join(part for part in (added, own) if part)}",
                "",
            ]  # what a program has for itself wins
    return "\n".join(lines)


def _quoted(name: str, value: str) -> str:
    if not value.isprintable() or '"' in value:
        raise SettingError(f"{name} holds a quotation mark or a line end, which supervisord cannot take: `hearth down`, then `hearth up`.")
    return '"' + value.replace("%", "%%") + '"'
