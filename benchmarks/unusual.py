"""How well unusual records are found: `make bench-unusual BENCH_FLAGS="--files data/employees"`.

Takes each data set's real file, if a folder has it, else generated rows; sets a fifth aside some times, learns what is unusual from the
rest, and counts how many of the rows set aside are called unusual, and how many of planted records. All methods have the same rule for
their threshold: `ALARM_SHARE` of the train rows, each scored while it was held out, are above it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
import typer
from scipy.stats import binomtest
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, load_contract
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.data.cleaning import clean
from hearth.data.csv_validation import read_raw, validate
from hearth.fakes import FakeRecords
from hearth.modelling.unusual import ALARM_SHARE
from hearth.modelling.unusual_fit import fit_unusual
from hearth.serving.compiled.unusual_kernel import UnusualScorer

_GENERATED_ROWS = 12_000
_STRANGE = {"employees": {"Sleep Hours": 12.0, "Team Size": 50.0, "Recognition Frequency": 15.0}}
_BINS, _FOLDS = 10, 5


class Method(Protocol):
    """A score that is higher for what is less usual; fitted when it is made."""

    def __call__(self, columns: Columns) -> np.ndarray: ...


def main(
    files: Annotated[list[Path] | None, typer.Option(help="Folders that may have raw files.", show_default=False)] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often rows are set aside; ten times that for data below 1,000 rows.")] = 5,
    seed: Annotated[int, values.seed()] = 42,
) -> None:
    """Print for each data set and method the share of ordinary and of planted records that are called unusual, and the time."""
    console = make_console()
    for dataset in ("employees", "heart", "covertype"):
        contract = load_contract(dataset, DATA)
        origin, content = _content(contract, files or [])
        frame = clean(contract, validate(contract, read_raw(contract, content, origin)).accepted).frame
        columns = RecordParser(contract).from_frame(frame)
        times = repeats if len(columns) >= 1_000 else 10 * repeats  # noqa: PLR2004 - as the help says
        kinds = list(_planted(contract, columns, np.random.default_rng(seed)))
        table = make_table(
            f"{dataset}: {len(columns):,} rows ({origin})", "method", "ordinary (95 %)", *kinds, "fit s", "µs in bulk", "µs alone"
        )
        for name, fit in _methods(contract).items():
            table.add_row(name, *_measured(contract, columns, fit, times, seed))
        console.print(table)


def _measured(contract: Contract, columns: Columns, fit: Callable[[Columns], tuple[Method, float]], repeats: int, seed: int) -> list[str]:
    alarms = rows = 0
    found: dict[str, list[float]] = {}
    for repeat in range(repeats):
        rng = np.random.default_rng(seed + repeat)
        order = rng.permutation(len(columns))
        test, train = _take(columns, order[: len(order) // 5]), _take(columns, order[len(order) // 5 :])
        started = time.perf_counter()
        score, threshold = fit(train)
        seconds = time.perf_counter() - started
        alarms, rows = alarms + int((score(test) > threshold).sum()), rows + len(test)
        for kind, planted in _planted(contract, test, rng).items():
            found.setdefault(kind, []).append(float((score(planted) > threshold).mean()))
    interval = binomtest(alarms, rows).proportion_ci(method="wilson")
    shares = [f"{np.mean(part):.2f}" for part in found.values()]
    bulk, alone = _microseconds(score, train, 5) / len(train), _microseconds(score, test.rows(slice(1)), 200)
    share = f"{alarms / rows:.2%} ({interval.low:.2%} to {interval.high:.2%})"
    return [share, *shares, f"{seconds:.2f}", f"{bulk:.2f}", f"{alone:.1f}"]


def _methods(contract: Contract) -> Mapping[str, Callable[[Columns], tuple[Method, float]]]:
    def own(train: Columns) -> tuple[Method, float]:
        unusual = fit_unusual(contract, RecordParser(contract).frame(train))
        return UnusualScorer(unusual, contract).raw_scores, unusual.threshold

    def by_folds(make: Callable[[Columns], Method]) -> Callable[[Columns], tuple[Method, float]]:
        def fit(train: Columns) -> tuple[Method, float]:
            fold = np.random.default_rng(0).permutation(len(train)) % _FOLDS
            scores = np.concatenate([make(_take(train, fold != number))(_take(train, fold == number)) for number in range(_FOLDS)])
            return make(train), float(np.sort(scores)[-max(1, int((len(scores) + 1) * ALARM_SHARE))])

        return fit

    return {
        "tree of pairs + Mahalanobis (ours)": own,
        "Mahalanobis, Ledoit-Wolf": by_folds(_mahalanobis),
        "isolation forest, 100 trees": by_folds(_forest),
        "histograms (HBOS)": by_folds(_histograms),
    }


def _standardise(train: Columns) -> Callable[[Columns], np.ndarray]:
    mean, std = np.nanmean(train.numbers, axis=0), np.nanstd(train.numbers, axis=0)
    return lambda columns: np.nan_to_num((columns.numbers - mean) / std, nan=0.0)


def _mahalanobis(train: Columns) -> Method:
    scaled = _standardise(train)
    fitted = LedoitWolf(assume_centered=True).fit(scaled(train))
    return lambda columns: np.asarray(fitted.mahalanobis(scaled(columns)))


def _forest(train: Columns) -> Method:
    scaled = _standardise(train)
    widths = train.codes.max(axis=0) + 1

    def encoded(columns: Columns) -> np.ndarray:
        indicators = [np.equal.outer(codes, np.arange(width)) for codes, width in zip(columns.codes.T, widths, strict=True)]
        return np.hstack([scaled(columns), *indicators])

    fitted = IsolationForest(n_estimators=100, random_state=0).fit(encoded(train))
    return lambda columns: -np.asarray(fitted.score_samples(encoded(columns)))


def _histograms(train: Columns) -> Method:
    tables = []
    for column in train.numbers.T:
        edges = np.linspace(np.nanmin(column), np.nanmax(column), _BINS + 1)
        edges[0] = np.nextafter(edges[0], -np.inf)
        counts = np.bincount(np.searchsorted(edges, column[~np.isnan(column)]), minlength=_BINS + 2) + 0.5
        tables.append((edges, -np.log(counts / counts.sum())))
    seen_codes = [np.bincount(codes, minlength=10_000) + 0.5 for codes in train.codes.T]

    def score(columns: Columns) -> np.ndarray:
        total = np.zeros(len(columns))
        for column, (edges, surprise) in zip(columns.numbers.T, tables, strict=True):
            total += np.where(np.isnan(column), 0.0, surprise[np.searchsorted(edges, column).clip(0, _BINS + 1)])
        for codes, seen in zip(columns.codes.T, seen_codes, strict=True):
            total -= np.log(seen[codes] / seen.sum())
        return total

    return score


def _planted(contract: Contract, ordinary: Columns, rng: np.random.Generator) -> dict[str, Columns]:
    """Return records that are not ordinary, of some kinds, made from ordinary ones."""
    bounds = np.array([_bounds(contract, name) for name in contract.numeric_features])
    numbers, rows = ordinary.numbers, len(ordinary)
    low, high = np.nanmin(numbers, axis=0), np.nanmax(numbers, axis=0)
    far = np.clip(np.nanmean(numbers, axis=0) + 6 * np.nanstd(numbers, axis=0), bounds[:, 0], bounds[:, 1])
    place = rng.integers(0, numbers.shape[1], rows)
    half = rng.permutation(numbers.shape[1])[: numbers.shape[1] // 2]
    mixed, one_far = numbers.copy(), numbers.copy()
    mixed[:, half] = numbers[rng.permutation(rows)][:, half]
    one_far[np.arange(rows), place] = far[place]
    codes = ordinary.codes
    kinds = {
        "each column permuted": Columns(_permuted(numbers, rng), _permuted(codes, rng)),
        "half of another row": Columns(mixed, codes),
        "any in the range seen": Columns(rng.uniform(low, high, numbers.shape), codes),
        "any that the contract allows": Columns(rng.uniform(bounds[:, 0], bounds[:, 1], numbers.shape), codes),
        "one number 6 sd up": Columns(one_far, codes),
    }
    if contract.name in _STRANGE:
        strange = numbers.copy()
        for name, value in _STRANGE[contract.name].items():
            strange[:, contract.numeric_features.index(name)] = value
        kinds["sleep 12, team 50, praise 15"] = Columns(strange, codes)
    return kinds


def _bounds(contract: Contract, name: str) -> tuple[float, float]:
    column = contract.columns[name]
    return float(getattr(column, "minimum", 0)), float(getattr(column, "maximum", 1))


def _permuted(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([rng.permutation(column) for column in values.T])


def _content(contract: Contract, folders: list[Path]) -> tuple[str, bytes]:
    for path in _candidates(contract, folders):
        if path.is_file():
            return "real", path.read_bytes()
    return "generated", FakeRecords.load(contract, DATA).frame(_GENERATED_ROWS, 42).to_csv(index=False).encode()


def _candidates(contract: Contract, folders: list[Path]) -> Iterator[Path]:
    if file := getattr(contract.source, "file", None):
        yield from (folder / file for folder in (*folders, DATA / contract.name))


def _microseconds(score: Method, columns: Columns, times: int) -> float:
    score(columns)
    started = time.perf_counter()
    for _ in range(times):
        score(columns)
    return (time.perf_counter() - started) / times * 1e6


def _take(columns: Columns, rows: np.ndarray) -> Columns:
    return Columns(columns.numbers[rows], columns.codes[rows])


if __name__ == "__main__":
    run_program(main)
