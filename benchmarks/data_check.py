"""What the data check finds, and what it finds where nothing is: `make bench-data-check`.

Generated rows of every data set are checked as they are, over several seeds: a warning there is a false one, but for the jump of the
employees' columns, which the generator has from the real file. Then one problem at a time is planted into them.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Annotated

import numpy as np
import pandas as pd

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, list_contracts
from hearth.contracts.column_types import NumberColumn
from hearth.data.checks import CheckedRows, CheckReport, check_rows
from hearth.data.csv_validation import read_raw, validate
from hearth.data.profile import Profile, profile
from hearth.fakes import FakeRecords

_ROWS = {"heart": 302}
_MOST = 15_000
Plant = Callable[[CheckedRows, np.random.Generator], CheckedRows]


def generated_rows(contract: Contract, rows: int, seed: int) -> CheckedRows:
    """Return generated rows of a data set, as the ETL has them, without rows that equal others."""
    content = FakeRecords.load(contract, DATA).frame(rows, seed).to_csv(index=False).encode()
    validated = validate(contract, read_raw(contract, content, "generated"))
    return CheckedRows.of(contract, validated.accepted, validated.lines)


def without_jump(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    """Return rows whose columns that jump with the target are shuffled, so that they say nothing about it."""
    frame = rows.frame.copy()
    for finding in check_rows(rows, "").at("warn"):
        if finding.check == "made_from_target":
            for name in finding.columns:
                frame[name] = generator.permutation(frame[name].to_numpy())
    return CheckedRows(rows.contract, frame, rows.codes, rows.lines)


def _number(rows: CheckedRows) -> str:
    return next(
        (name for name in rows.contract.numeric_features if isinstance(rows.contract.columns[name], NumberColumn)),
        rows.contract.numeric_features[0],
    )


def _with(rows: CheckedRows, name: str, column: np.ndarray) -> CheckedRows:
    return CheckedRows(rows.contract, rows.frame.assign(**{name: column}), rows.codes, rows.lines)


def _copy_of_target(rows: CheckedRows, _: np.random.Generator) -> CheckedRows:
    target = rows.codes.astype(np.float64) if rows.numeric_target is None else rows.numeric_target
    return _with(rows, _number(rows), 7 + 3 * target)


def _noisy_copy(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    classes = len(rows.contract.target.classes)
    wrong = generator.random(len(rows)) < 0.04  # noqa: PLR2004 - the share that does not give the class away
    return _with(rows, _number(rows), np.where(wrong, generator.integers(0, classes, len(rows)), rows.codes).astype(np.float64))


def _copies(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    return rows.take(np.concatenate([np.arange(len(rows)), generator.choice(len(rows), len(rows) // 5)]))


def _near_copies(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    chosen, name = generator.choice(len(rows), len(rows) // 10, replace=False), _number(rows)
    both = rows.take(np.concatenate([np.arange(len(rows)), chosen]))
    column = both.frame[name].to_numpy(dtype=np.float64).copy()
    column[len(rows) :] += 0.5 * np.nanstd(column)
    return _with(both, name, column)


def _contradictions(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    chosen, classes = generator.choice(len(rows), len(rows) // 10, replace=False), len(rows.contract.target.classes)
    both = rows.take(np.concatenate([np.arange(len(rows)), chosen]))
    codes = both.codes.copy()
    codes[len(rows) :] = (codes[len(rows) :] + 1) % classes
    return CheckedRows(both.contract, both.frame, codes, both.lines)


def _flipped(share: float) -> Plant:
    def plant(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
        classes, wrong = len(rows.contract.target.classes), generator.random(len(rows)) < share
        codes = np.where(wrong, (rows.codes + generator.integers(1, classes, len(rows))) % classes, rows.codes)
        return CheckedRows(rows.contract, rows.frame, codes, rows.lines)

    return plant


def _constant(rows: CheckedRows, _: np.random.Generator) -> CheckedRows:
    return _with(rows, _number(rows), np.full(len(rows), 5.0))


def _same(rows: CheckedRows, _: np.random.Generator) -> CheckedRows:
    first, second = rows.contract.numeric_features[:2]
    return _with(rows, second, rows.frame[first].to_numpy())


def _more_missing(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    column = rows.frame[_number(rows)].to_numpy(dtype=np.float64)
    return _with(rows, _number(rows), np.where(generator.random(len(rows)) < 0.25, np.nan, column))  # noqa: PLR2004


def _missing_tells(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    last = rows.codes == int(np.bincount(rows.codes).argmax())
    column = rows.frame[_number(rows)].to_numpy(dtype=np.float64)
    return _with(rows, _number(rows), np.where(last & (generator.random(len(rows)) < 0.9), np.nan, column))  # noqa: PLR2004


def _one_class_category(rows: CheckedRows, generator: np.random.Generator) -> CheckedRows:
    name, categories = next(iter(rows.contract.categorical_features.items()))
    own, column = rows.codes == int(np.bincount(rows.codes).argmax()), rows.frame[name].to_numpy(dtype=object).copy()
    column[column == categories[-1]] = categories[0]
    column[own & (generator.random(len(rows)) < 0.6)] = categories[-1]  # noqa: PLR2004
    return CheckedRows(rows.contract, rows.frame.assign(**{name: pd.Series(column, dtype="str")}), rows.codes, rows.lines)


def _sorted(rows: CheckedRows, _: np.random.Generator) -> CheckedRows:
    by_class = rows.take(np.argsort(rows.codes, kind="stable"))
    return CheckedRows(rows.contract, by_class.frame, by_class.codes, rows.lines)


def _row_number(rows: CheckedRows, _: np.random.Generator) -> CheckedRows:
    name = next(name for name in rows.contract.numeric_features if not isinstance(rows.contract.columns[name], NumberColumn))
    return _with(rows, name, np.arange(len(rows), dtype=np.float64))


PLANTED: Mapping[str, tuple[str, Plant]] = {
    "a column is a copy of the target": ("gives_away", _copy_of_target),
    "a column gives 96 % of the classes away": ("gives_away", _noisy_copy),
    "20 % exact copies": ("duplicates", _copies),
    "10 % copies with one number changed": ("near_duplicates", _near_copies),
    "10 % copies with another class": ("contradictions", _contradictions),
    "5 % of the labels are wrong": ("labels", _flipped(0.05)),
    "10 % of the labels are wrong": ("labels", _flipped(0.10)),
    "a constant": ("constant", _constant),
    "two columns are equal": ("same_column", _same),
    "25 % of a column are missing": ("missing_share", _more_missing),
    "missing tells the class": ("missing_tells", _missing_tells),
    "a category of one class only": ("one_class_category", _one_class_category),
    "rows in the order of the classes (info)": ("file_order", _sorted),
    "a column numbers the rows": ("row_number", _row_number),
}
"""What is planted: the check that has to find it, and how it is made."""


def reference(rows: CheckedRows) -> Profile:
    """Return what the columns were like before: as in these rows."""
    y = pd.Series(rows.codes, name=rows.contract.target.column)
    return profile(rows.contract, rows.frame[list(rows.contract.feature_names)], y, "before")


def checked(rows: CheckedRows, before: Profile) -> CheckReport:
    """Make all checks."""
    return check_rows(rows, "generated", before)


def main(seeds: Annotated[int, values.whole("Seeds, from 0.")] = 5) -> None:
    """Print how often the data check warns about generated rows, and how often it finds what was planted in them."""
    console, contracts = make_console(), list_contracts(DATA)
    table = make_table("Warnings about generated rows", "data set", "rows", "seeds with a warning", "which", "seconds")
    clean: dict[str, list[CheckedRows]] = {}
    for contract in contracts:
        counts, times, warned = Counter[str](), [], 0
        for seed in range(seeds):
            rows = generated_rows(contract, _ROWS.get(contract.name, _MOST), seed)
            before = reference(generated_rows(contract, _ROWS.get(contract.name, _MOST), seed + 1_000))
            found = [finding.check for finding in checked(rows, before).at("warn", "stop")]
            counts.update(f"as generated: {name}" for name in found)
            base = without_jump(rows, np.random.default_rng(seed))
            started = perf_counter()
            left = [finding.check for finding in checked(base, before).at("warn", "stop")]
            times.append(perf_counter() - started)
            warned += bool(left)
            counts.update(left)
            clean.setdefault(contract.name, []).append(base)
        which = ", ".join(f"{name} {count} times" for name, count in counts.items()) or "-"
        table.add_row(contract.name, f"{len(clean[contract.name][0]):,}", f"{warned} of {seeds}", which, f"{np.median(times):.1f}")
    console.print(table)

    table = make_table("Planted: seeds in which it was found", "planted", "check", *(contract.name for contract in contracts))
    for what, (check, plant) in PLANTED.items():
        cells = []
        for contract in contracts:
            hits = 0
            for seed, rows in enumerate(clean[contract.name]):
                report = checked(plant(rows, np.random.default_rng(seed)), reference(rows))
                hits += any(finding.check == check and (finding.level != "info" or "info" in what) for finding in report.findings)
            cells.append(f"{hits} of {seeds}")
        table.add_row(what, check, *cells)
    console.print(table)


if __name__ == "__main__":
    run_program(main)
