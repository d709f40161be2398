"""Generate the demo data of a data set: fake rows in the form of its real file, which may not be shipped."""

import argparse
import os
import sys
from pathlib import Path

from hearth.contracts import load_contract
from hearth.errors import HearthError
from hearth.fakes import DEMO_ROWS, DEMO_SEED, fake_path, real_file, write_fake
from hearth.settings import get_settings


def main() -> int:
    """Write the file and say what it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="employees")
    parser.add_argument("--rows", type=_positive, default=DEMO_ROWS)
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    parser.add_argument("--output", type=Path, help="default: data/<data set>/<source file> in the state folder, .hearth")
    options = parser.parse_args()
    data_dir = get_settings().data_dir
    try:
        contract = load_contract(options.dataset, data_dir)
        output = options.output or fake_path(contract, Path(os.environ.get("HEARTH_STATE_DIR", ".hearth")))
        write_fake(contract, data_dir, output, options.rows, options.seed)
    except (HearthError, OSError) as error:
        print(f"The demo data of {options.dataset!r} could not be made: {error}", file=sys.stderr)
        return 1
    print(f"{output}: {options.rows:,} fake rows of {options.dataset!r} (seed {options.seed}), {output.stat().st_size / 1e6:.1f} MB.")
    if (real := real_file(contract, data_dir)) is not None:
        print(f"The real file {real} is there too: the demo uses that one.")
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"must be a whole number of 1 or more, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
