"""The real raw files of the data sets, which are never committed: tests that need one are skipped where it is not."""

from pathlib import Path

import pytest

from hearth.contracts import load_contract

ROOT = Path(__file__).parents[2]
BESIDE = ROOT.parent / "shared/data"


def require_real_file(dataset: str) -> Path:
    """Return the path of a data set's real file, from its folder or from `shared/data` beside the checkout; skip the test without it."""
    file = load_contract(dataset, ROOT / "data").source.file
    for path in (ROOT / "data" / dataset / file, BESIDE / file):
        if path.is_file():
            return path
    pytest.skip(f"the real file of {dataset}, {file}, is neither in data/{dataset} nor in {BESIDE}")
