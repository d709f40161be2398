"""List the licences of all packages, and refuse those that nobody has allowed: `make licences`. Reads installed metadata, asks no server.

    python -m deploy.supply.licences [--list] [ENVIRONMENT ...]

`requirements/licences.toml` has the allowed licences, the names that packages give to them, and the packages that are let through by name.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from license_expression import ExpressionError, LicenseWithExceptionSymbol, Licensing, get_spdx_licensing
from packaging.utils import canonicalize_name

from deploy.supply.environments import ENVIRONMENTS, ROOT, NotAsLocked, installed

POLICY_FILE = ROOT / "requirements" / "licences.toml"
_CLASSIFIER = "License :: "
_APPROVALS = ("License :: OSI Approved", "License :: DFSG approved")  # of a licence that another line names
_LONGEST_NAME = 60  # of a field License: longer ones hold the text of a licence
_SPDX: Licensing = get_spdx_licensing()


@dataclass(frozen=True)
class Exemption:
    """A package that is let through: its licence, as a person has read it, and why it is all right."""

    licence: str
    reason: str
    environments: tuple[str, ...] = ()  # where it may be; empty: everywhere


@dataclass(frozen=True)
class Policy:
    """What is allowed."""

    allowed: frozenset[str]
    names: Mapping[str, str]  # what packages write, in small letters: its SPDX expression
    exemptions: Mapping[str, Exemption]

    @classmethod
    def read(cls, path: Path = POLICY_FILE) -> "Policy":
        """Read the policy file."""
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        names = {name.casefold(): expression for expression, written in content["names"].items() for name in written}
        exemptions = {
            str(canonicalize_name(name)): Exemption(entry["licence"], entry["reason"], tuple(entry.get("environments", ())))
            for name, entry in content["exemptions"].items()
        }
        return cls(frozenset(content["allowed"]), names, exemptions)

    def allows(self, expression: str) -> bool:
        """Tell whether a choice of licences that an SPDX expression offers is allowed; false for what is no expression."""
        try:
            parsed = _SPDX.parse(expression, validate=False)
        except ExpressionError:
            return False
        return parsed is not None and self._holds(parsed)

    def _holds(self, node: object) -> bool:
        if isinstance(node, _SPDX.AND):
            return all(self._holds(part) for part in node.args)
        if isinstance(node, _SPDX.OR):
            return any(self._holds(part) for part in node.args)
        if isinstance(node, LicenseWithExceptionSymbol):  # an exception gives more rights
            node = node.license_symbol
        return str(getattr(node, "key", "")) in self.allowed

    def expression_of(self, metadata: Iterable[tuple[str, str]]) -> str:
        """Return the SPDX expression of a package, from the newest form of metadata that it has; empty if none can be understood.

        Several classifiers do not say whether all of them hold or one: all do, which is the stricter.
        """
        fields = list(metadata)
        if expression := next((value for field, value in fields if field == "License-Expression"), ""):
            return expression
        for field, value in fields:
            if field == "License" and (known := self._known(value)):
                return known
        written = [value for field, value in fields if field == "Classifier" and value.startswith(_CLASSIFIER)]
        names = [self._known(value.rpartition(" :: ")[2]) for value in written if value not in _APPROVALS]
        return " AND ".join(sorted(set(names))) if names and all(names) else ""

    def _known(self, written: str) -> str:
        name = written.strip()
        if name.casefold() in self.names:
            return self.names[name.casefold()]
        if not name or len(name) > _LONGEST_NAME or "\n" in name:
            return ""
        try:
            _SPDX.parse(name, validate=True)
        except ExpressionError:
            return ""
        return name


@dataclass(frozen=True)
class Licence:
    """What is known of a package; a problem is empty where it may be used."""

    package: str
    version: str
    expression: str
    problem: str


def fields_of(distribution: Distribution) -> list[tuple[str, str]]:
    """Return the fields about licences that the metadata of a package have."""
    metadata = distribution.metadata
    return [(field, value) for field in ("License-Expression", "License", "Classifier") for value in metadata.get_all(field) or ()]


def check(environment: str, distributions: Iterable[Distribution], policy: Policy) -> Iterator[Licence]:
    """Judge the packages of an environment."""
    for distribution in distributions:
        name = canonicalize_name(distribution.name)
        expression = policy.expression_of(fields_of(distribution))
        if exemption := policy.exemptions.get(name):
            yield Licence(name, distribution.version, exemption.licence, _misfit(exemption, expression, environment, policy))
        elif not expression:
            yield Licence(name, distribution.version, "", "says no licence that is understood")
        else:
            yield Licence(
                name, distribution.version, expression, "" if policy.allows(expression) else f"has {expression}, which is not allowed"
            )


def _misfit(exemption: Exemption, expression: str, environment: str, policy: Policy) -> str:
    if expression and expression != exemption.licence:
        return f"is exempted with the licence {exemption.licence}, but says {expression}"
    if expression and policy.allows(expression):
        return f"is exempted, but its licence {expression} is allowed: remove the exemption"
    if exemption.environments and environment not in exemption.environments:
        return f"has {exemption.licence} and may be in {', '.join(exemption.environments)} alone, but is in {environment}"
    return ""


def main(arguments: list[str]) -> int:
    """Check the environments, by default all that are installed; 1 if a package may not be used."""
    parser = argparse.ArgumentParser(prog="licences", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print every package with its licence")
    parser.add_argument("names", nargs="*", metavar="ENVIRONMENT", choices=[[], *(environment.name for environment in ENVIRONMENTS)])
    options = parser.parse_args(arguments)
    policy, found, used = Policy.read(), dict[tuple[str, str], Licence](), set[str]()
    for environment in ENVIRONMENTS:
        if environment.name not in (options.names or [environment.name]) or not ((ROOT / environment.folder).exists() or options.names):
            continue
        licences = list(check(environment.name, installed(environment), policy))
        used.add(environment.name)
        for licence in licences:
            key = licence.package, licence.version
            found[key] = found[key] if key in found and found[key].problem else licence
    if options.list:
        for licence in sorted(found.values(), key=lambda licence: licence.package):
            print(f"{licence.package:<40} {licence.version:<16} {licence.expression}")
    problems = sorted(f"{licence.package} {licence.version} {licence.problem}" for licence in found.values() if licence.problem)
    if used == {environment.name for environment in ENVIRONMENTS}:
        known = {package for package, _ in found}
        problems += [f"{name} is exempted, but in no environment" for name in sorted(policy.exemptions.keys() - known)]
    if problems:
        print(*problems, f"{POLICY_FILE.relative_to(ROOT)} says what is allowed, and how a package is exempted.", sep="\n", file=sys.stderr)
        return 1
    print(f"{len(found)} packages of {len(used)} environments have licences that are allowed.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NotAsLocked as error:
        sys.exit(str(error))
