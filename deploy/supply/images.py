"""Pin the images that .env names by the digests that their tags have now: `make pin-images`. Needs Docker with buildx.

They go to requirements/images.env, which wins over .env where it is given to Compose or to a
build, so a tag that somebody moves changes nothing until this runs again.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.compose.make_secrets import read_values
from deploy.supply.environments import ROOT

PINS_FILE = ROOT / "requirements" / "images.env"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class NoDigest(Exception):
    """An image has no digest that can be found; the message says which, and what was answered."""


def images(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the images of others, by the name of their setting."""
    return {name: value for name, value in settings.items() if re.fullmatch(r"HEARTH_\w+_IMAGE", name)}


def pinned(text: str, wanted: Mapping[str, str], digest_of: Callable[[str], str]) -> str:
    """Return the text of a file of pins with a line for each image, below the comments that it begins with."""
    comments = [line for line in text.splitlines() if line.startswith("#")]
    return "\n".join([*comments, *(f"{name}={image}@{digest_of(image)}" for name, image in sorted(wanted.items())), ""])


def ask_registry(image: str) -> str:
    """Return the digest of the index of all platforms.

    Raises:
        NoDigest: there is no such image, or no registry that answers.
    """
    command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoDigest("Docker is not installed here.") from None
    digest = done.stdout.strip()
    if done.returncode or not _DIGEST.fullmatch(digest):
        raise NoDigest(f"{image} has no digest: {(done.stderr or done.stdout).strip()}")
    return digest


def main(path: Path = PINS_FILE) -> int:
    wanted = images(read_values(ROOT / ".env"))
    path.write_text(pinned(path.read_text(encoding="utf-8"), wanted, ask_registry), encoding="utf-8")
    print(f"{path.relative_to(ROOT)} pins {len(wanted)} images.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NoDigest as error:
        sys.exit(str(error))
