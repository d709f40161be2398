"""The environments of the repository: what their lock files name, and what is installed of it.

A development lock is installed into the folder of the environment that it extends, so what is installed is read through the lock.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]+?))?\s*\\?$", re.MULTILINE)


class NotAsLocked(Exception):
    """An environment is missing, or holds something else than its lock file says; the message says which and what to do."""


@dataclass(frozen=True)
class Environment:
    """A lock file and the folder that it is installed in, both relative to the checkout."""

    name: str
    lock: str
    folder: str
    target: str = "setup-dev"  # of make: installs what the lock file names


# What an image holds comes first: its licences and vulnerabilities are those of whoever passes the image on.
IMAGES = tuple(Environment(name, f"dockerfiles/{name}/requirements.txt", f".venvs/{name}") for name in ("serve", "airflow", "mlflow"))
ENVIRONMENTS = (
    *IMAGES,
    *(Environment(name, f"requirements/{name}.txt", f".venvs/{name}") for name in ("embedded", "uv")),
    # Installed by those who need them, and brought up to date by their own targets and by this one
    *(Environment(name, f"requirements/{name}.txt", f".venvs/{name}", "licences") for name in ("clients", "docs")),
    *(Environment(f"{name}-dev", f"requirements/{name}-dev.txt", f".venvs/{name}") for name in ("serve", "airflow")),
)


def pins(text: str) -> dict[str, str]:
    """Return the version of each package of a lock file that belongs on this platform and this Python, by its normalised name."""
    found: dict[str, str] = {}
    for pin in _PIN.finditer(text):
        if pin["marker"] is None or Marker(pin["marker"]).evaluate():
            found[canonicalize_name(pin["name"])] = pin["version"]
    return found


def installed(environment: Environment, root: Path = ROOT) -> Iterator[Distribution]:
    """Yield what is installed of the lock file of an environment, by name.

    Raises:
        NotAsLocked: the environment is missing, or differs from its lock file.
    """
    folder, remedy = root / environment.folder, f"run `make {environment.target}`"
    packages = [str(path) for path in folder.glob("lib/python3*/site-packages")]
    if not packages:
        raise NotAsLocked(f"The environment {environment.name!r} is not installed in {environment.folder}: {remedy}.")
    there = {str(canonicalize_name(distribution.name)): distribution for distribution in distributions(path=packages)}
    for name, version in sorted(pins((root / environment.lock).read_text(encoding="utf-8")).items()):
        if name not in there or there[name].version != version:
            found = there[name].version if name in there else "nothing"
            raise NotAsLocked(f"{environment.lock} has {name} {version}, {environment.folder} has {found}: {remedy}.")
        yield there[name]
