"""Measure the statistics that fake rows are drawn from, on a real file, and write them to `data/<name>/statistics.json`.

    python utils/measure_statistics.py path/to/real.csv --dataset employees

`hearth.fakes.measuring` says what is measured and what is left out. Needs the environment `airflow`.
"""

import argparse
import json
import sys
from pathlib import Path

from hearth.contracts import load_contract
from hearth.data.csv_validation import read_raw, validate
from hearth.errors import HearthError
from hearth.fakes.checks import find_mistake
from hearth.fakes.measuring import measure
from hearth.fakes.statistics import FILE_NAME, Statistics
from hearth.settings import get_settings


def to_json(statistics: Statistics) -> str:
    """Write statistics so that a person can read them: what holds nothing further is on one line."""
    return _block(statistics.model_dump(mode="json", exclude_unset=True), "") + "\n"


def _block(value: object, indent: str) -> str:
    inner = indent + " "
    if isinstance(value, dict) and any(isinstance(item, dict | list) for item in value.values()):
        lines = [f"{inner}{json.dumps(key)}: {_block(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(inner + _block(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def main() -> int:
    """Measure one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, help="the real file")
    parser.add_argument("--dataset", default="employees")
    parser.add_argument("--data-dir", type=Path, help="where the data sets are (default: HEARTH_DATA_DIR)")
    parser.add_argument("--edges", type=float, nargs="+", default=[], help="upper ends of all strata but the last (default: found)")
    options = parser.parse_args()
    data_dir = options.data_dir or get_settings().data_dir
    try:
        contract = load_contract(options.dataset, data_dir)
        checked = validate(contract, read_raw(contract, options.csv.read_bytes(), options.csv.name))
        how = f"utils/measure_statistics.py on {contract.source.file}"
        statistics = measure(contract, checked.accepted, sorted(options.edges), how)
    except (HearthError, OSError) as error:
        print(f"The statistics of {options.dataset!r} could not be measured: {error}", file=sys.stderr)
        return 1
    if mistake := find_mistake(contract, statistics):
        print(f"What was measured cannot be used: {mistake[0]}: {mistake[1]}", file=sys.stderr)
        return 1
    path = data_dir / contract.name / FILE_NAME
    text = to_json(statistics)
    path.write_text(text, "utf-8")
    left_out = len(checked.accepted) + len(checked.rejected) - statistics.about.rows
    print(f"{path}: {len(statistics.strata)} strata of {statistics.about.rows:,} rows ({left_out} left out), {len(text) / 1000:.1f} kB.")
    for stratum in statistics.strata:
        bounds = "missing" if stratum.target is None else f"{stratum.target[0]:g} to {stratum.target[1]:g}"
        print(f"  {contract.target.column} {bounds}: {stratum.rows:,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
