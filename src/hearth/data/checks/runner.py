"""All checks of a raw file. A check that fails by an error of its own is named in the report and costs no other one."""

import logging
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter

import numpy as np

from hearth.data.checks.columns import find_constants, find_missing, find_one_class_categories, find_order
from hearth.data.checks.copies import find_contradictions, find_duplicates, find_near_duplicates
from hearth.data.checks.labels import find_wrong_labels
from hearth.data.checks.leaks import find_jumps, find_leaks
from hearth.data.checks.report import CheckReport, Finding, sorted_findings
from hearth.data.checks.table import CheckedRows
from hearth.data.profile import Profile

_LOGGER = logging.getLogger(__name__)
MOST_ROWS = 20_000
"""Rows that are checked, at most, but for exact copies: a sample stands for all."""

Check = Callable[[CheckedRows, Profile | None], Iterable[Finding]]
CHECKS: Mapping[str, Check] = {
    "leaks": lambda rows, _: find_leaks(rows.sample(MOST_ROWS)),
    "jumps": lambda rows, _: find_jumps(rows.sample(MOST_ROWS)),
    "duplicates": lambda rows, _: find_duplicates(rows),
    "near_duplicates": lambda rows, _: find_near_duplicates(rows.sample(MOST_ROWS)),
    "contradictions": lambda rows, _: find_contradictions(rows),
    "constants": lambda rows, _: find_constants(rows),
    "categories": lambda rows, _: find_one_class_categories(rows),
    "missing": find_missing,
    "order": lambda rows, _: find_order(rows),
    "labels": lambda rows, _: find_wrong_labels(rows),
}
"""The checks, by the names that a contract may skip; each takes the rows and what the columns were like before."""


def check_rows(rows: CheckedRows, source: str, reference: Profile | None = None, skip: Iterable[str] = ()) -> CheckReport:
    """Make all checks that are not skipped.

    Args:
        rows: What is checked.
        source: What the report calls them.
        reference: What the columns were like before; without it, changes are not looked for.
        skip: Names of checks that are not made.
    """
    skipped, started = tuple(name for name in CHECKS if name in set(skip)), perf_counter()
    findings: list[Finding] = []
    failed: dict[str, str] = {}
    for name, check in CHECKS.items() if len(rows) else ():
        if name in skipped:
            continue
        try:
            with np.errstate(all="ignore"):
                findings += list(check(rows, reference))
        except Exception as error:  # an odd table must not cost the ETL, nor the other checks; the report says what is not known
            _LOGGER.exception("%s: the check %r failed", source, name)
            failed[name] = f"{type(error).__name__}: {error}"
    return CheckReport(rows.contract.name, source, len(rows), sorted_findings(findings), failed, skipped, perf_counter() - started)
