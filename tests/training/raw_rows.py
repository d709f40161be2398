"""Made-up raw rows of employees for the tests of the way from raw file to processed data."""

import numpy as np
import pandas as pd

from hearth.contracts import Contract


def raw_rows(contract: Contract, rows: int, seed: int = 0, missing_share: float = 0.03) -> pd.DataFrame:
    """Rows that keep the contract, as texts; the target hangs on the other numbers, so that there is something to learn and to impute."""
    rng = np.random.default_rng(seed)
    strain = rng.beta(4, 4, size=rows)
    columns: dict[str, list[str]] = {}
    for name, column in contract.columns.items():
        if column.kind == "identifier":
            columns[name] = [f"id-{seed}-{number}" for number in range(rows)]
        elif column.kind == "date":
            columns[name] = [f"2008-{1 + number % 12:02d}-{1 + number % 28:02d}" for number in range(rows)]
        elif column.kind == "category":
            columns[name] = rng.choice(column.categories, size=rows).tolist()
        else:
            noise = 0.0 if name == contract.target.column else 0.15
            level = np.clip(strain + rng.normal(scale=noise, size=rows), 0, 1)
            values = column.minimum + level * (column.maximum - column.minimum)
            is_whole = column.kind == "integer"
            texts = [f"{value:.0f}" if is_whole else f"{value:.4f}" for value in values]
            absent = rng.random(rows) < (missing_share if column.nullable else 0)
            columns[name] = ["" if gone else text for gone, text in zip(absent, texts, strict=True)]
    return pd.DataFrame(columns, dtype="str")


def raw_csv(contract: Contract, rows: int, seed: int = 0, missing_share: float = 0.03) -> bytes:
    return raw_rows(contract, rows, seed, missing_share).to_csv(index=False).encode()
