"""Check fake data against a real file: a model that was trained on fake rows only must do well on the real ones.

    python utils/check_fake_data.py path/to/real.csv --dataset employees

Prints macro-F1 and accuracy of LightGBM, trained on fake rows and judged on the whole real file, beside the same model trained on 80 % of
the real file and judged on the rest. Then how far marginals, dependence and missing shares are off. Ends with status 1 if the macro-F1 of
the first is below `--at-least`. Needs the environment `airflow`.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from scipy.stats import ks_2samp
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline

from hearth.contracts import CategoryColumn, Contract, IdentifierColumn, load_contract
from hearth.data.cleaning import clean, split, target_codes
from hearth.data.csv_validation import read_raw, validate
from hearth.errors import HearthError
from hearth.fakes import FakeRecords
from hearth.modelling.features import build_features
from hearth.settings import get_settings

LARGEST_DIFFERENCES = 5


@dataclass(frozen=True)
class Sample:
    """Cleaned rows: raw features and class codes."""

    name: str
    X: pd.DataFrame
    y: "pd.Series[int]"

    @property
    def title(self) -> str:
        """What the table calls it."""
        return f"{self.name} ({len(self.X):,} rows)"


def print_judgement(contract: Contract, train: Sample, test: Sample) -> float:
    """Train on one sample, judge on the other, print a line of the table and return the macro-F1."""
    classifier = LGBMClassifier(n_estimators=150, learning_rate=0.05, num_leaves=10, n_jobs=1, random_state=0, verbose=-1)
    features = build_features(contract).set_output(transform="pandas")
    predicted = Pipeline([("features", features), ("classifier", classifier)]).fit(train.X, train.y).predict(test.X)
    macro_f1 = float(f1_score(test.y, predicted, average="macro"))
    print(f"{train.title:<22}{test.title:<30}{macro_f1:>9.4f}{accuracy_score(test.y, predicted):>10.4f}")
    return macro_f1


def spearman(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    """Return rank correlations of all columns but identifiers, categories by position, and of what is missing."""
    columns = {}
    for name, column in contract.columns.items():
        if isinstance(column, IdentifierColumn):
            continue
        positions = {text: i for i, text in enumerate(column.texts)} if isinstance(column, CategoryColumn) else None
        columns[name] = frame[name] if positions is None else frame[name].map(positions).astype("float64")
        if frame[name].isna().any():
            columns[f"missing {name}"] = frame[name].isna().astype("float64")
    return pd.DataFrame(columns).rank().corr()


def print_comparison(contract: Contract, real: pd.DataFrame, fake: pd.DataFrame) -> None:
    """Print where the two frames differ most."""
    in_real, in_fake = spearman(contract, real), spearman(contract, fake)
    upper = np.triu(np.ones(in_real.shape, dtype=bool), k=1)
    reals, fakes = in_real.to_numpy()[upper], in_fake.reindex_like(in_real).to_numpy()[upper]
    pairs = [(in_real.index[i], in_real.columns[j]) for i, j in np.argwhere(upper)]
    distance = np.nan_to_num(np.abs(fakes - reals))
    print(f"\nLargest of {len(pairs)} differences between Spearman correlations (mean {distance.mean():.3f}):")
    for k in np.argsort(-distance)[:LARGEST_DIFFERENCES]:
        print(f"  {pairs[k][0]} ~ {pairs[k][1]}: real {reals[k]:+.3f}, fake {fakes[k]:+.3f}")

    print("\nLargest distances between marginals (Kolmogorov-Smirnov, categories by position):")
    distances = {}
    for name, column in contract.columns.items():
        if isinstance(column, IdentifierColumn):
            continue
        known = [frame[name].dropna() for frame in (real, fake)]
        if isinstance(column, CategoryColumn):
            known = [values.map({text: i for i, text in enumerate(column.texts)}).astype("float64") for values in known]
        distances[name] = float(ks_2samp(*[values.to_numpy().astype("float64") for values in known]).statistic)
    for name, distance in sorted(distances.items(), key=lambda item: -item[1])[:LARGEST_DIFFERENCES]:
        print(f"  {name}: {distance:.3f}")

    print("\nMissing shares:")
    for name in real.columns[real.isna().any() | fake.isna().any()]:
        print(f"  {name}: real {real[name].isna().mean():.3f}, fake {fake[name].isna().mean():.3f}")
    both = [float((frame[list(contract.feature_names)].isna().sum(axis=1) > contract.cleaning.max_nulls).mean()) for frame in (real, fake)]
    print(f"  more than {contract.cleaning.max_nulls} of the features: real {both[0]:.4f}, fake {both[1]:.4f}")


def _sample(contract: Contract, name: str, frame: pd.DataFrame) -> Sample:
    kept = clean(contract, frame).frame
    return Sample(name, kept[list(contract.feature_names)], target_codes(contract, kept[contract.target.column]))


def main() -> int:
    """Compare, print, and say by the status whether the fake data are good enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, help="the real file")
    parser.add_argument("--dataset", default="employees")
    parser.add_argument("--data-dir", type=Path, help="where the data sets are (default: HEARTH_DATA_DIR)")
    parser.add_argument("--rows", type=int, default=15_000, help="fake rows to train on")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--at-least", type=float, default=0.80, help="macro-F1 that the fake-trained model must reach")
    options = parser.parse_args()
    data_dir = options.data_dir or get_settings().data_dir
    try:
        contract = load_contract(options.dataset, data_dir)
        real = validate(contract, read_raw(contract, options.csv.read_bytes(), options.csv.name)).accepted
        fake_text = FakeRecords.load(contract, data_dir).frame(options.rows, options.seed).to_csv(index=False)
        fake = validate(contract, read_raw(contract, fake_text.encode(), "fake rows")).accepted
    except (HearthError, OSError) as error:
        print(f"The fake data of {options.dataset!r} could not be checked: {error}", file=sys.stderr)
        return 1
    train, everything = [_sample(contract, name, frame) for name, frame in (("fake", fake), ("real", real))]
    halves = split(contract, clean(contract, real).frame)
    real_train, real_test = Sample("real", halves.X_train, halves.y_train), Sample("real, set aside", halves.X_test, halves.y_test)
    print(f"{'trained on':<22}{'tested on':<30}{'macro-F1':>9}{'accuracy':>10}")
    macro_f1 = print_judgement(contract, train, everything)
    print_judgement(contract, real_train, real_test)
    print_judgement(contract, train, real_test)
    print_comparison(contract, real, fake)
    enough = macro_f1 >= options.at_least
    print(f"\nMacro-F1 of fake on real is {macro_f1:.4f}, wanted {options.at_least:.2f}: {'good enough' if enough else 'too low'}.")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
