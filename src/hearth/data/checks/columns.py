"""Columns that say nothing, say the same, are missing more than before, tell by being missing, or know the order of the file."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

from hearth.contracts.column_types import IntegerColumn
from hearth.data.checks.leaks import class_score
from hearth.data.checks.report import Finding, first_lines
from hearth.data.checks.table import CheckedRows, binned
from hearth.data.profile import Profile

_NEARLY_ALL = 0.999
_FEWEST = 30  # rows of a category of one class, or of missing values
_MUCH_OF_A_CLASS = 0.4
_MISSING_CHANGE, _CHANCE = 0.05, 0.001
_TELLS, _ORDERED, _KEY_DISTINCT, _KEY_ORDER = 0.2, 0.5, 0.99, 0.99
_KEY_ROWS = 100


def find_constants(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding for each feature with one value, or nearly one, and for each whose values are those of an earlier one."""
    seen: dict[bytes, str] = {}
    for name, values in rows.features.items():
        counts = np.unique(values, return_counts=True, equal_nan=True)[1]
        share = float(counts.max() / len(rows))
        if share >= _NEARLY_ALL:
            only = len(counts) == 1
            what = "all rows have the same value." if only else f"{share:.2%} of the rows have the same value."
            yield Finding(
                "constant", "warn" if only else "info", what, "No model learns from it: name it under drop.", (name,), {"share": share}
            )
        elif (other := seen.setdefault(values.tobytes(), name)) != name:
            yield Finding("same_column", "warn", f"its values are those of {other!r} in every row.", "Name one under drop.", (other, name))


def find_one_class_categories(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding for each category that appears in one class only although its rows are many."""
    classes = rows.contract.target.classes
    totals = np.bincount(rows.codes, minlength=len(classes))
    for name, categories in rows.contract.categorical_features.items():
        values, hidden = rows.features[name], name in rows.contract.personal_columns
        for position, category in enumerate(categories):
            found = np.flatnonzero(values == position)
            code = int(rows.codes[found[0]]) if len(found) else 0
            chance = (totals[code] / len(rows)) ** len(found)
            if len(found) < _FEWEST or (rows.codes[found] != code).any() or chance > _CHANCE / len(categories):
                continue
            share = float(len(found) / totals[code])
            shown = "a category" if hidden else f"{category!r}"
            yield Finding(
                "one_class_category",
                "warn" if share >= _MUCH_OF_A_CLASS else "info",
                f"{shown} appears in the class {classes[code]!r} only: {len(found):,} rows, {share:.0%} of the class.",
                "Was it recorded because of the target? Then drop the column, or join the category with another.",
                (name,),
                {"rows": float(len(found)), "share_of_class": share},
                len(found),
                first_lines(rows.lines[found]),
            )


def find_missing(rows: CheckedRows, reference: Profile | None) -> Iterator[Finding]:
    """Yield a finding for each feature whose share of missing values is far from before, and where missing values tell the class."""
    before, enough = _missing_before(reference), rows.enough
    limit = float(norm.isf(_CHANCE / 2 / max(len(rows.features), 1)))
    for name, values in rows.features.items():
        if (was := before.get(name)) is not None and reference is not None and len(enough):
            missing = np.isnan(enough.features[name])
            share = float(missing.mean())
            change = share - was
            pooled = (missing.sum() + was * reference.rows) / (len(enough) + reference.rows)
            error = (pooled * (1 - pooled) * (1 / len(enough) + 1 / max(reference.rows, 1))) ** 0.5
            if abs(change) >= _MISSING_CHANGE and abs(change) > limit * error:
                what = f"{share:.1%} of the values are missing, before {was:.1%}."
                figures = {"missing_share": share, "before": was}
                lines = first_lines(enough.lines[missing])
                yield Finding("missing_share", "warn", what, "Has the source changed?", (name,), figures, int(missing.sum()), lines)
        missing = np.isnan(values)
        if _FEWEST <= missing.sum() <= len(rows) - _FEWEST:
            tells, surely = _largest_difference(missing, rows.codes, len(rows.contract.target.classes))
            if surely >= _TELLS:
                what = f"missing values differ by {tells:.0%} between a class and the others: that it is missing tells the class."
                advice = "Is the value entered after the target is known? Then drop the column."
                yield Finding("missing_tells", "warn", what, advice, (name,), {"difference": tells, "missing_share": float(missing.mean())})


def _missing_before(reference: Profile | None) -> dict[str, float]:
    if reference is None:
        return {}
    numbers = {name: column.missing_share for name, column in reference.numbers.items()}
    return numbers | {name: column.missing_share for name, column in reference.categories.items()}


def find_order(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding if the order of the file, an identifier or a date knows the class, and for features that number the rows."""
    classes = len(rows.contract.target.classes)
    if len(rows) < _KEY_ROWS:
        return
    if (score := class_score(binned(rows.lines.astype(np.float64)), rows.codes, classes)) >= _ORDERED:
        what = f"the rows are in the order of the classes (the place in the file says {score:.0%} beyond chance)."
        yield Finding(
            "file_order", "info", what, "Make sure that no column was numbered after they were sorted.", (), {"class_score": score}
        )
    for name, ranks in rows.ordered_columns.items():
        if (score := class_score(binned(ranks), rows.codes, classes)) >= _ORDERED:
            what = f"its order is that of the classes ({score:.0%} beyond chance)."
            yield Finding(
                "ordered_key", "warn", what, "No model sees it; ask how keys or days were given.", (name,), {"class_score": score}
            )
    for name, column in rows.contract.feature_columns.items():
        values = rows.features[name]
        if not isinstance(column, IntegerColumn) or np.isnan(values).any() or len(np.unique(values)) < _KEY_DISTINCT * len(rows):
            continue
        order = abs(float(np.corrcoef(values.argsort().argsort(), np.arange(len(rows)))[0, 1]))
        if order >= _KEY_ORDER:
            what = f"it numbers the rows: nearly every value is another one, in the order of the file ({order:.3f})."
            yield Finding("row_number", "warn", what, "A key is no feature: name it under drop.", (name,), {"order": order})


def _largest_difference(missing: np.ndarray, codes: np.ndarray, classes: int) -> tuple[float, float]:
    """Return the largest difference of the share of missing values between a class and the others, and what it surely exceeds."""
    differences = [(0.0, 0.0)]
    for code in range(classes):
        own, others = missing[codes == code], missing[codes != code]
        if min(len(own), len(others)) >= _FEWEST:
            difference = abs(float(own.mean() - others.mean()))
            error = float((own.var() / len(own) + others.var() / len(others)) ** 0.5)
            differences.append((difference, difference - 4 * error))
    return max(differences, key=lambda pair: pair[1])
