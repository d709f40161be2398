"""What the report on groups says of a data set: `make bench-groups BENCH_FLAGS="--file data/employees/enriched_employee_dataset.csv"`.

Fits every family with its defaults on a raw file that is cleaned and split as the ETL does, and prints the figures of each group of the
contract's sensitive columns, the gaps between groups, and the seconds that the report takes. Without a file it takes generated rows.
"""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from benchmarks.gate_bounds import fitted, load_split
from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import load_contract
from hearth.modelling.group_report import GroupFigure, report_groups


def main(
    dataset: Annotated[str, values.dataset()] = "employees",
    file: Annotated[Path | None, typer.Option(help="The raw file (default: generated rows).", show_default=False)] = None,
    seed: Annotated[int, values.seed()] = 42,
) -> None:
    """Print the report on groups of each family of a data set."""
    contract, console = load_contract(dataset, DATA), make_console()
    parts = load_split(contract, file)
    truth = parts.y_test.to_numpy()
    measures = ("base_rate", "selection_rate", "recall", "precision", "calibration_error")
    groups = make_table(f"{file.name if file else 'Generated rows'}: {len(truth):,} test rows", "family", "group", "class", *measures)
    gaps = make_table("Gaps, the larger first", "family", "groups", "class", "of", "figure")
    for family in contract.families:
        probabilities = fitted(contract, family, parts, seed)
        started = perf_counter()
        report = report_groups(contract, parts.X_test, truth, probabilities)
        seconds = perf_counter() - started
        for group in report.groups:
            for figures in group.classes:
                cells = (_cell(getattr(figures, measure)) for measure in measures)
                groups.add_row(family, f"{group.column}: {group.group} ({group.rows:,})", figures.label, *cells)
        for gap in report.gaps:
            gaps.add_row(family, f"{gap.column}: {gap.groups[0]} - {gap.groups[1]}", gap.label, gap.measure, _cell(gap.figure))
        console.print(f"{family}: {len(report.groups)} groups in {seconds:.3f} s")
    console.print(groups)
    console.print(gaps)


def _cell(figure: GroupFigure) -> str:
    interval = figure.interval
    shown = f"{interval.figure:.3f} ({interval.low:.3f} to {interval.high:.3f})"
    return shown if figure.answer == "measured" else f"cannot tell ({figure.rows} rows)"


if __name__ == "__main__":
    run_program(main)
