"""The libraries and the source revision that a model was made with."""

import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

LIBRARIES = ("scikit-learn", "lightgbm", "skops", "numpy", "pandas")
# A model file holds internal state of these; another version of them may read it wrongly without an error.
MUST_MATCH = ("scikit-learn", "lightgbm", "skops")
LIBRARIES_TAG = "hearth.libraries"  # one tag for all: MLflow's tables show every tag of a row
_EARLIER_TAG = "hearth.library."  # began the tag of each library in versions of earlier releases

_UNKNOWN = "unknown"
_GIT_SECONDS = 10


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a model depends on, as they are installed here."""
    return {"python": platform.python_version(), **{library: metadata.version(library) for library in LIBRARIES}}


def read_library_versions(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of the libraries that a version was made with, from its tags."""
    entries = (entry.partition(" ") for entry in tags.get(LIBRARIES_TAG, "").split(", "))
    earlier = {name.removeprefix(_EARLIER_TAG): value for name, value in tags.items() if name.startswith(_EARLIER_TAG)}
    return earlier | {library: version for library, _, version in entries if version}


def git_revision() -> str:
    """Return the commit of the checkout that this file is part of, with `-dirty` behind it if files were changed, or `unknown`."""
    here = Path(__file__)
    # An installed package may lie inside the checkout of another project, whose commit is not ours.
    if not _git(here.parent, "ls-files", here.name):
        return _UNKNOWN
    return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or _UNKNOWN


def _git(folder: Path, *arguments: str) -> str:
    try:
        # The arguments are fixed, and `git` is whichever the user runs.
        process = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)  # noqa: S603, S607
    except (OSError, subprocess.SubprocessError):
        return ""
    return process.stdout.strip()
