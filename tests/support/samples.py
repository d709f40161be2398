"""Made-up processed data for tests: raw features of a contract, with classes that can be learnt and values that are missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn, load_contract
from hearth.contracts.loading import read_contract
from hearth.data.cleaning import Split

ROOT = Path(__file__).parents[2]
EMPLOYEES = load_contract("employees", ROOT / "data")


def sample_rows(contract: Contract, rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Raw features in contract order and class codes; all numbers follow one hidden strain, and the classes are its thirds."""
    rng = np.random.default_rng(seed)
    strain = rng.normal(size=rows)
    columns: dict[str, np.ndarray | pd.Series] = {}
    for name, column in contract.feature_columns.items():
        if isinstance(column, CategoryColumn):
            columns[name] = pd.Series(rng.choice(column.categories, size=rows), dtype="str")
            continue
        assert isinstance(column, IntegerColumn | NumberColumn)
        middle, width = (column.minimum + column.maximum) / 2, column.maximum - column.minimum
        values = np.clip(middle + width * (strain + rng.normal(scale=0.7, size=rows)) / 8, column.minimum, column.maximum)
        if isinstance(column, IntegerColumn):
            values = values.round()
        if column.nullable:
            values[rng.random(rows) < 0.05] = np.nan
        columns[name] = values
    k = len(contract.target.classes)
    codes = np.digitize(strain, np.quantile(strain, np.arange(1, k) / k))
    return pd.DataFrame(columns), pd.Series(codes, name=contract.target.column, dtype="int64")


def sample_split(contract: Contract, train_rows: int = 300, test_rows: int = 120, seed: int = 0) -> Split:
    X, y = sample_rows(contract, train_rows + test_rows, seed)
    return Split(X[:train_rows], X[train_rows:].reset_index(drop=True), y[:train_rows], y[train_rows:].reset_index(drop=True))


def renamed_contract(data_dir: Path, name: str) -> Contract:
    """Write the employees' contract into a data folder under another name, so that a test has a registered model of its own.

    It has no bounds: the models of tests are poor on purpose.
    """
    content = yaml.safe_load((ROOT / "data/employees/contract.yaml").read_text("utf-8"))
    path = data_dir / name / "contract.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump({**content, "name": name, "dags_without_prefix": [], "gate": {}}, sort_keys=False), "utf-8")
    return read_contract(path)


def records(X: pd.DataFrame) -> list[dict[str, object]]:
    """The rows as records: None where a value is missing."""
    return [{str(name): None if pd.isna(value) else value for name, value in row.items()} for row in X.to_dict("records")]
