"""Check fake data against a real file: a model of fake rows must do well on the real ones.

    python utils/check_fake_data.py path/to/real.csv --dataset employees

Prints macro-F1 and accuracy of LightGBM, trained on fake rows and tested on the whole real file, and of the same model trained on 80 % of
the real file and tested on the rest; then the largest differences of marginals, correlations and missing shares. The exit code is 1 if the
macro-F1 of the first is below `--at-least`. Needs the environment `airflow`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from lightgbm import LGBMClassifier
from scipy.stats import ks_2samp
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline

from hearth.cli import values
from hearth.cli.application import CommandError, run_program
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
        """Its name in the table."""
        return f"{self.name} ({len(self.X):,} rows)"


def print_scores(contract: Contract, train: Sample, test: Sample) -> float:
    """Train on one sample, test on the other, print a line of the table and return the macro-F1."""
    classifier = LGBMClassifier(n_estimators=150, learning_rate=0.05, num_leaves=10, n_jobs=1, random_state=0, verbose=-1)
    features = build_features(contract).set_output(transform="pandas")
    predicted = Pipeline([("features", features), ("classifier", classifier)]).fit(train.X, train.y).predict(test.X)
    macro_f1 = float(f1_score(test.y, predicted, average="macro"))
    print(f"{train.title:<22}{test.title:<30}{macro_f1:>9.4f}{accuracy_score(test.y, predicted):>10.4f}")
    return macro_f1


def spearman(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    """Return rank correlations of all columns but identifiers, categories by position, and of missing values."""
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
    """Print the largest differences of the two frames."""
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
        samples = [frame[name].dropna() for frame in (real, fake)]
        if isinstance(column, CategoryColumn):
            samples = [sample.map({text: i for i, text in enumerate(column.texts)}).astype("float64") for sample in samples]
        distances[name] = float(ks_2samp(*[sample.to_numpy().astype("float64") for sample in samples]).statistic)
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


def main(  # noqa: PLR0913, PLR0917 - each is an option
    csv: Annotated[Path, typer.Argument(help="The real file.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The data set.")] = "employees",
    data_dir: Annotated[Path | None, typer.Option(help="The folder of the data sets (default: HEARTH_DATA_DIR).")] = None,
    rows: Annotated[int, values.whole("Fake rows to train on.")] = 15_000,
    seed: Annotated[int, values.seed()] = 42,
    at_least: Annotated[float, values.share("The macro-F1 that the model of fake rows must reach.")] = 0.80,
) -> None:
    """Check fake data against a real file; the exit code is 1 if they are not good enough."""
    data_dir = data_dir or get_settings().data_dir
    try:
        contract = load_contract(dataset, data_dir)
        real = validate(contract, read_raw(contract, csv.read_bytes(), csv.name)).accepted
        fake_text = FakeRecords.load(contract, data_dir).frame(rows, seed).to_csv(index=False)
        fake = validate(contract, read_raw(contract, fake_text.encode(), "fake rows")).accepted
    except (HearthError, OSError) as error:
        raise CommandError(f"The fake data of {dataset!r} could not be checked: {error}") from error
    train, everything = [_sample(contract, name, frame) for name, frame in (("fake", fake), ("real", real))]
    halves = split(contract, clean(contract, real).frame)
    real_train, real_test = Sample("real", halves.X_train, halves.y_train), Sample("real, set aside", halves.X_test, halves.y_test)
    print(f"{'trained on':<22}{'tested on':<30}{'macro-F1':>9}{'accuracy':>10}")
    macro_f1 = print_scores(contract, train, everything)
    print_scores(contract, real_train, real_test)
    print_scores(contract, train, real_test)
    print_comparison(contract, real, fake)
    is_enough = macro_f1 >= at_least
    print(f"\nMacro-F1 of fake on real is {macro_f1:.4f}, required {at_least:.2f}: {'good enough' if is_enough else 'too low'}.")
    raise typer.Exit(not is_enough)


if __name__ == "__main__":
    run_program(main)
