"""The rules with shorter times, to try alerts out: `python -m deploy.monitoring.fast_rules FOLDER [--factor 60]`.

What the rules wait for and look back over is divided by the factor: `for:`, the ranges of expressions, and bounds of a minute or more on
what is measured in seconds. Everything else, what is compared with what above all, is what the stack has: these are no copies. With a
factor of 1 they are the same. `make drill-alerts` breaks what the alerts are for with rules that were shortened this way.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parent / "rules"
LEAST_RANGE_SECONDS = 10  # a rate needs two scrapes, also when one is late
_LEAST_BOUND_SECONDS = 60  # a bound below is no time that somebody waits: half a second of an answer
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d+)([smhd])")
_RANGE = re.compile(r"\[(\d+[smhd])\]")
_BOUND = re.compile(r"(\w*_seconds(?::max|\{[^}]*\})?\)* [<>] )(\d+)\b(?! \*)")

Json = dict[str, Any]


def shortened(rules: Mapping[str, Any], factor: float) -> Json:
    """Return the groups of a file of rules with all times divided by a factor."""
    groups = [{**group, "rules": [_rule(rule, factor) for rule in group["rules"]]} for group in rules["groups"]]
    return {**rules, "groups": groups}


def write(folder: Path, factor: float) -> list[Path]:
    """Write the shortened rules of the stack into a folder, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sorted(RULES.glob("*.yml")):
        path = folder / source.name
        rules = yaml.safe_load(source.read_text("utf-8"))
        path.write_text(yaml.safe_dump(shortened(rules, factor), sort_keys=False, width=200), encoding="utf-8")
        written.append(path)
    return written


def seconds_of(duration: str) -> int:
    """Return the seconds of a duration such as 5m.

    Raises:
        ValueError: it has another form.
    """
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is no duration of a rule: expected a number and one of {', '.join(_UNITS)}")
    return int(match[1]) * _UNITS[match[2]]


def _rule(rule: Mapping[str, Any], factor: float) -> Json:
    if factor == 1:
        return dict(rule)
    short = dict(rule)
    if "for" in rule:
        short["for"] = f"{max(round(seconds_of(rule['for']) / factor), 1)}s"
    expression = _RANGE.sub(lambda match: f"[{max(round(seconds_of(match[1]) / factor), LEAST_RANGE_SECONDS)}s]", rule["expr"])
    short["expr"] = _BOUND.sub(lambda match: match[1] + _bound(match[2], factor), expression)
    return short


def _bound(seconds: str, factor: float) -> str:
    return seconds if int(seconds) < _LEAST_BOUND_SECONDS else str(max(round(int(seconds) / factor), 1))


def main() -> int:
    """Write the files, and print their names."""
    parser = argparse.ArgumentParser(prog="python -m deploy.monitoring.fast_rules", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the files are written")
    parser.add_argument("--factor", type=float, default=60, help="how much shorter (default: %(default)g)")
    options = parser.parse_args()
    if options.factor < 1:
        parser.error(f"--factor: expected 1 or more, got {options.factor:g}")
    for path in write(options.folder, options.factor):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
