"""Samples by a hash of the rows: the same for the same rows, however they come."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hearth.contracts import Contract, load_contract
from hearth.data import stored_train
from hearth.data.row_sample import frame_order, sample_frame, sample_places
from hearth.data.stored_train import StoredTrain
from tests.support.samples import EMPLOYEES, ROOT, sample_rows

HEART = load_contract("heart", ROOT / "data")
COVERTYPE = load_contract("covertype", ROOT / "data")


def stored(contract: Contract, X: pd.DataFrame, y: pd.Series, folder: Path, weights: np.ndarray | None = None) -> StoredTrain:
    path = folder / "X_train.parquet"
    pq.write_table(pa.Table.from_pandas(X, preserve_index=False), path, row_group_size=700)
    return StoredTrain.of(contract, path, y.to_numpy(), weights)


@pytest.mark.parametrize("contract", [EMPLOYEES, HEART, COVERTYPE], ids=lambda contract: contract.name)
def test_the_same_rows_in_another_order_give_the_same_sample(contract: Contract) -> None:
    X, y = sample_rows(contract, 2_000)
    mixed = np.random.default_rng(4).permutation(len(X))

    first, again = sample_frame(contract, X, y.to_numpy(), 500), sample_frame(contract, X.iloc[mixed], y.to_numpy()[mixed], 500)

    assert len(first) == 500
    assert set(mixed[again].tolist()) == set(first.tolist())
    assert (np.diff(first) > 0).all()


def test_a_sample_has_the_shares_of_the_classes_and_looks_like_all_rows() -> None:
    X, y = sample_rows(EMPLOYEES, 9_000)
    codes = y.to_numpy()

    places = sample_frame(EMPLOYEES, X, codes, 3_000)

    counts, expected = np.bincount(codes[places]), np.bincount(codes) / 3
    assert np.abs(counts - expected).max() <= 1
    for name in EMPLOYEES.numeric_features:
        standard_error = X[name].std() / np.sqrt(3_000)
        assert abs(X[name].iloc[places].mean() - X[name].mean()) < 5 * standard_error


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    X, y = sample_rows(EMPLOYEES, 3_000)
    order, codes = frame_order(EMPLOYEES, X), y.to_numpy()

    small, large = (set(sample_places(order, codes, size).tolist()) for size in (300, 1_500))

    assert small < large


def test_a_rare_class_keeps_ten_rows_and_the_sample_its_size() -> None:
    codes = np.zeros(10_000, np.int64)
    codes[:12], codes[12:15] = 1, 2
    order = np.random.default_rng(0).integers(0, 2**63, len(codes)).astype(np.uint64)

    counts = Counter(codes[sample_places(order, codes, 1_000)].tolist())

    assert counts == {0: 987, 1: 10, 2: 3}


class TestCopies:
    """40,000 rows that are copies of 200: each is there 200 times."""

    X = sample_rows(EMPLOYEES, 200)[0].iloc[np.random.default_rng(6).permutation(40_000) % 200].reset_index(drop=True)
    codes = np.random.default_rng(7).choice(3, size=40_000, p=[0.9, 0.09, 0.01])

    def drawn(self, size: int) -> np.ndarray:
        return sample_frame(EMPLOYEES, self.X, self.codes, size)

    def test_a_sample_has_as_many_different_rows_as_one_by_chance(self) -> None:
        places = self.drawn(2_000)

        copies = self.X.iloc[places].groupby(list(EMPLOYEES.feature_names), dropna=False).size()
        assert len(places) == 2_000
        assert len(copies) == 200
        assert copies.max() < 30  # 10 on average

    def test_ten_rows_of_a_rare_class_differ_though_nearly_all_are_copies_of_one(self) -> None:
        X = sample_rows(EMPLOYEES, 1_012)[0]
        X = X.iloc[np.concatenate([np.arange(1_000).repeat(30), np.full(900, 1_000), np.arange(1_001, 1_012)])].reset_index(drop=True)
        codes = np.repeat([0, 1], [30_000, 911])

        places = sample_frame(EMPLOYEES, X, codes, 1_000)

        assert len(X.iloc[places][codes[places] == 1].drop_duplicates()) >= 10

    def test_the_order_of_the_rows_does_not_matter(self) -> None:
        mixed = np.random.default_rng(8).permutation(40_000)
        first, again = (
            X.iloc[places].assign(code=codes[places]).groupby([*EMPLOYEES.feature_names, "code"], dropna=False).size()
            for X, codes in ((self.X, self.codes), (self.X.iloc[mixed], self.codes[mixed]))
            for places in [sample_frame(EMPLOYEES, X, codes, 2_000)]
        )

        pd.testing.assert_series_equal(first, again)

    def test_a_smaller_sample_is_part_of_a_larger_one(self) -> None:
        assert set(self.drawn(500).tolist()) < set(self.drawn(2_000).tolist())

    def test_they_stay_together_where_that_is_wanted(self, tmp_path: Path) -> None:
        X = self.X.iloc[:10_000]

        rows = stored(EMPLOYEES, X, pd.Series(np.zeros(10_000, np.int64)), tmp_path).sampled(2_000, copies_together=True).frame()

        names = list(EMPLOYEES.feature_names)
        sizes = rows.groupby(names, dropna=False).size()
        is_whole = sizes == X.groupby(names, dropna=False).size().loc[sizes.index]
        assert (~is_whole).sum() <= 1  # the last one is cut at the size of the sample


def test_rows_that_are_no_more_than_the_sample_stay_as_they_are() -> None:
    X, y = sample_rows(EMPLOYEES, 400)

    assert sample_frame(EMPLOYEES, X, y.to_numpy(), 400).tolist() == list(range(400))


@pytest.mark.parametrize("contract", [EMPLOYEES, HEART, COVERTYPE], ids=lambda contract: contract.name)
def test_rows_on_disk_give_the_sample_of_the_frame(contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_train, "_BATCH", 300)
    X, y = sample_rows(contract, 2_000)
    weights = np.random.default_rng(1).random(len(X))
    rows = stored(contract, X, y, tmp_path, weights)

    sample = rows.sampled(600)

    places = sample_frame(contract, X, y.to_numpy(), 600)
    pd.testing.assert_frame_equal(sample.frame(), X.iloc[places].reset_index(drop=True))
    assert sample.y.tolist() == y.iloc[places].tolist()
    assert sample.weights is not None
    assert sample.weights.tolist() == weights[places].tolist()
    within = places[sample_frame(contract, X.iloc[places], y.to_numpy()[places], 200)]
    pd.testing.assert_frame_equal(sample.sampled(200).frame(), X.iloc[within].reset_index(drop=True))
    assert sample.sampled(200).y.tolist() == y.iloc[within].tolist()
    numbers = X[list(contract.numeric_features)]
    np.testing.assert_array_equal(rows.extremes(contract), np.stack([numbers.min(), numbers.max()]))
