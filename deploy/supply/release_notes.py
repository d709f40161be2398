"""Print the changelog's section of a release, for its page: `python -m deploy.supply.release_notes v1.2.3`. Standard library only."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


class NotReady(Exception):
    """A tag is no release of what is checked out; the message says what is missing."""


def section(changelog: str, version: str) -> str:
    """Return what the changelog says about a version, without its title.

    Raises:
        NotReady: it has no section about it, or an empty one.
    """
    found = re.search(rf"^## \[?{re.escape(version)}\]?\b[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise NotReady(f"CHANGELOG.md says nothing about {version}: give what is under 'Unreleased' the title '## {version} - <date>'.")
    return found[1].strip() + "\n"


def notes(tag: str, pyproject: str, changelog: str) -> str:
    """Return the notes of a tag such as v1.2.3.

    Raises:
        NotReady: the package has another version, or the changelog nothing about this one.
    """
    version = tag.removeprefix("v")
    packaged = tomllib.loads(pyproject)["project"]["version"]
    if tag != f"v{packaged}":
        raise NotReady(f"the tag is {tag}, but pyproject.toml has version {packaged}: the tag must be v{packaged}.")
    return section(changelog, version)


def main(tag: str) -> int:
    print(notes(tag, (ROOT / "pyproject.toml").read_text(encoding="utf-8"), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), end="")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except NotReady as error:
        sys.exit(str(error))
