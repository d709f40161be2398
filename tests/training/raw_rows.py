"""Fake raw rows of a data set for the tests of the way from raw file to processed data."""

import numpy as np
import pandas as pd

from hearth.contracts import Contract
from hearth.fakes import FakeRecords


def raw_rows(contract: Contract, rows: int, seed: int = 0, missing_share: float = 0.03) -> pd.DataFrame:
    """Rows that keep the contract, as texts; of each column that may have gaps this share is missing."""
    rng = np.random.default_rng(seed)
    drawn = FakeRecords.load(contract).frame(rows, seed)
    columns: dict[str, list[str]] = {}
    for name, column in contract.columns.items():
        if column.kind == "identifier":
            columns[name] = [f"id-{seed}-{number}" for number in range(rows)]
            continue
        texts = drawn[name].ffill().bfill().tolist()
        absent = rng.random(rows) < (missing_share if column.nullable else 0)
        columns[name] = ["" if gone else _text(value) for gone, value in zip(absent, texts, strict=True)]
    return pd.DataFrame(columns, dtype="str")


def raw_csv(contract: Contract, rows: int, seed: int = 0, missing_share: float = 0.03) -> bytes:
    return raw_rows(contract, rows, seed, missing_share).to_csv(index=False).encode()


def _text(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
