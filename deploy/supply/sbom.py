"""Write a CycloneDX bill of materials of every environment to `.hearth/sbom`: `make sbom`. Asks no server.

    python -m deploy.supply.sbom [--output FOLDER] [ENVIRONMENT ...]

`cyclonedx-py` reads the installed packages, their licences and who needs whom. What the lock file does not name (our own package, which
has a path of this machine; tools of a development environment) is taken out. The same lock files on the same platform give the same bytes.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from deploy.supply.environments import ENVIRONMENTS, ROOT, Environment, NotAsLocked, installed, pins

_SCHEMA = SchemaVersion.V1_6
_FOLDER = ROOT / ".hearth" / "sbom"


class InvalidBill(Exception):
    """A bill of materials cannot be made, or does not follow the schema of CycloneDX; the message says where."""


def describe(folder: Path) -> dict[str, Any]:
    """Return what cyclonedx-py says about an environment, of which `folder` is the root."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--output-reproducible", "--no-validate", "--of", "JSON", "--sv", _SCHEMA.to_version(), "--mc-type", "application"]
    command: list[str | Path] = [tool, "environment", *options, "--pyproject", ROOT / "pyproject.toml", folder / "bin" / "python"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InvalidBill(f"cyclonedx-py could not read {folder}: {done.stderr.strip()}")
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def of_lock(described: Mapping[str, Any], locked: Collection[str], properties: Mapping[str, str]) -> dict[str, Any]:
    """Return the bill of an environment with the components of these normalised names alone, and with these properties."""
    root = described["metadata"]["component"]
    kept = [
        component for component in described["components"] if canonicalize_name(PackageURL.from_string(component["purl"]).name) in locked
    ]
    known = {root["bom-ref"], *(component["bom-ref"] for component in kept)}
    needs = [
        {**entry, **({"dependsOn": [ref for ref in entry["dependsOn"] if ref in known]} if "dependsOn" in entry else {})}
        for entry in described["dependencies"]
        if entry["ref"] in known
    ]
    if not any(entry.get("dependsOn") for entry in needs if entry["ref"] == root["bom-ref"]):  # an environment without our package
        needed = {ref for entry in needs for ref in entry.get("dependsOn", ())}
        first = sorted(component["bom-ref"] for component in kept if component["bom-ref"] not in needed)
        needs = [entry for entry in needs if entry["ref"] != root["bom-ref"]] + [{"ref": root["bom-ref"], "dependsOn": first}]
    theirs = [{"name": name, "value": value} for name, value in sorted(properties.items())]
    metadata = {**described["metadata"], "properties": [*described["metadata"]["properties"], *theirs]}
    return {**described, "components": kept, "dependencies": needs, "metadata": metadata}


def text_of(bill: Mapping[str, Any]) -> str:
    """Return a bill as JSON that is the same for the same bill.

    Raises:
        InvalidBill: it does not follow the schema.
    """
    text = json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if error := JsonStrictValidator(_SCHEMA).validate_str(text):
        raise InvalidBill(f"this bill of materials does not follow CycloneDX {_SCHEMA.to_version()}: {error}")
    return text


def bill_of(environment: Environment, described: Mapping[str, Any]) -> str:
    """Return the bill of an environment as JSON.

    Raises:
        NotAsLocked: the environment differs from its lock file.
        InvalidBill: see `text_of`.
    """
    for _ in installed(environment):
        pass
    lock = (ROOT / environment.lock).read_text(encoding="utf-8")
    digest = hashlib.sha256(lock.encode()).hexdigest()
    locked = pins(lock)
    properties = {"hearth:environment": environment.name, "hearth:lock": environment.lock, "hearth:lock:sha256": digest}
    bill = of_lock(described, locked, properties)
    if len(bill["components"]) != len(locked):
        raise NotAsLocked(
            f"{environment.lock} has {len(locked)} packages for this platform, cyclonedx-py saw {len(bill['components'])} of them."
        )
    return text_of(bill)


def main(arguments: list[str]) -> int:
    """Write the bills of these environments, by default of all."""
    parser = argparse.ArgumentParser(prog="sbom", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=_FOLDER, metavar="FOLDER", help="default: .hearth/sbom")
    names = [environment.name for environment in ENVIRONMENTS]
    parser.add_argument("names", nargs="*", metavar="ENVIRONMENT", choices=[[], *names])
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    described: dict[str, dict[str, Any]] = {}
    for environment in ENVIRONMENTS:
        if environment.name in (options.names or names):
            if environment.folder not in described:
                described[environment.folder] = describe(ROOT / environment.folder)
            path = options.output / f"{environment.name}.cdx.json"
            text = bill_of(environment, described[environment.folder])
            path.write_text(text, encoding="utf-8")
            print(
                f"{path}: {len(json.loads(text)['components'])} packages, sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}…",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (NotAsLocked, InvalidBill) as error:
        sys.exit(str(error))
