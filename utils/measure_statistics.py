"""Measure on a real file the statistics that fake rows are drawn from, and write them to `data/<name>/statistics.json`.

    python utils/measure_statistics.py path/to/real.csv --dataset employees

`hearth.fakes.measuring` describes what is measured and what is not. Needs the environment `airflow`.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from hearth.cli.application import CommandError, run_program
from hearth.contracts import load_contract
from hearth.data.csv_validation import read_raw, validate
from hearth.errors import HearthError
from hearth.fakes.checks import find_mistake
from hearth.fakes.measuring import measure
from hearth.fakes.statistics import FILE_NAME, Statistics
from hearth.settings import get_settings


def to_json(statistics: Statistics) -> str:
    """Return JSON that a person can read: an object or a list without further ones is on one line."""
    return _block(statistics.model_dump(mode="json", exclude_unset=True), "") + "\n"


def _block(value: object, indent: str) -> str:
    inner = indent + " "
    if isinstance(value, dict) and any(isinstance(item, dict | list) for item in value.values()):
        lines = [f"{inner}{json.dumps(key)}: {_block(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(inner + _block(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def main(
    csv: Annotated[Path, typer.Argument(help="The real file.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The data set.")] = "employees",
    data_dir: Annotated[Path | None, typer.Option(help="The folder of the data sets (default: HEARTH_DATA_DIR).")] = None,
    edges: Annotated[
        list[float] | None, typer.Option(help="Upper end of a stratum; repeated for all but the last (default: measured).")
    ] = None,
) -> None:
    """Measure one file and write its statistics."""
    data_dir = data_dir or get_settings().data_dir
    try:
        contract = load_contract(dataset, data_dir)
        checked = validate(contract, read_raw(contract, csv.read_bytes(), csv.name))
        origin = f"utils/measure_statistics.py on {contract.source.file}"
        statistics = measure(contract, checked.accepted, sorted(edges or ()), origin)
    except (HearthError, OSError) as error:
        raise CommandError(f"The statistics of {dataset!r} could not be measured: {error}") from error
    if mistake := find_mistake(contract, statistics):
        raise CommandError(f"These statistics cannot be used: {mistake[0]}: {mistake[1]}")
    path = data_dir / contract.name / FILE_NAME
    text = to_json(statistics)
    path.write_text(text, "utf-8")
    omitted = len(checked.accepted) + len(checked.rejected) - statistics.about.rows
    print(f"{path}: {len(statistics.strata)} strata of {statistics.about.rows:,} rows ({omitted} left out), {len(text) / 1000:.1f} kB.")
    for stratum in statistics.strata:
        bounds = "missing" if stratum.target is None else f"{stratum.target[0]:g} to {stratum.target[1]:g}"
        print(f"  {contract.target.column} {bounds}: {stratum.rows:,} rows")


if __name__ == "__main__":
    run_program(main)
