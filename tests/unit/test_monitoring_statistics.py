"""The monitor's statistics: equal to scipy's, and true to their error rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hearth.monitoring.statistics import chi_square, pool_rare_bins, population_stability, share_difference, welch

COUNTS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)), min_size=1, max_size=20)


@given(COUNTS)
def test_chi_square_is_scipys_test_of_homogeneity(counts: list[tuple[int, int]]) -> None:
    reference, window = np.array(counts, dtype=np.float64).T
    occurring = reference + window > 0
    if occurring.sum() < 2 or not reference.sum() or not window.sum():
        assert chi_square(reference, window) == 1
    else:
        expected = stats.chi2_contingency([reference[occurring], window[occurring]], correction=False).pvalue
        assert chi_square(reference, window) == pytest.approx(expected, rel=1e-6, abs=1e-300)


@given(COUNTS)
def test_what_is_negligible_makes_no_p_value_smaller(counts: list[tuple[int, int]]) -> None:
    reference, window = np.array(counts, dtype=np.float64).T
    assert 0 <= chi_square(reference, window) <= chi_square(reference, window, 0.05) <= 1


def test_with_a_negligible_difference_it_is_scipys_noncentral_chi_square() -> None:
    reference, window = np.array([300.0, 500, 200]), np.array([150.0, 260, 190])
    statistic = stats.chi2_contingency([reference, window], correction=False).statistic
    noncentrality = 0.05**2 * 1_000 * 600 / 1_600
    assert chi_square(reference, window, 0.05) == pytest.approx(stats.ncx2.sf(statistic, 2, noncentrality), rel=1e-6)


@given(COUNTS)
def test_pooled_bins_keep_all_counts_and_none_is_rare(counts: list[tuple[int, int]]) -> None:
    reference, window = np.array(counts, dtype=np.float64).T
    before, now = pool_rare_bins(reference, window)
    assert before.sum() == reference.sum() or len(before) == 1
    if len(now) > 1:
        both = before + now
        assert (both * min(before.sum(), now.sum()) / both.sum()).min() >= 5 - 1e-9
        assert (before.sum(), now.sum()) == (reference.sum(), window.sum())


@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.floats(0.1, 5), st.integers(3, 400), st.integers(3, 400))
def test_welch_is_scipys_test(seed: int, shift: float, spread: float, rows: int, count: int) -> None:
    random = np.random.default_rng(seed)
    reference, values = random.normal(size=count), random.normal(shift, spread, rows)
    expected = stats.ttest_ind(values, reference, equal_var=False).pvalue
    found = welch(float(reference.mean()), float(reference.std()), count, values)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-300)
    assert welch(float(reference.mean()), float(reference.std()), count, values, 0.05) >= found


@pytest.mark.parametrize(
    ("before", "now"), [((0, 12_000), (1, 1_000)), ((30, 241), (180, 1_000)), ((5, 300), (9, 40)), ((600, 700), (3, 9))]
)
def test_a_share_is_compared_by_fishers_exact_test(before: tuple[int, int], now: tuple[int, int]) -> None:
    table = [[now[0], now[1] - now[0]], [before[0], before[1] - before[0]]]
    sides = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert share_difference(*before, *now) == pytest.approx(min(1, 2 * min(sides)))


def test_one_missing_value_where_none_was_before_is_no_alarm() -> None:
    assert share_difference(0, 12_000, 1, 1_000) > 0.1
    assert share_difference(0, 12_000, 20, 1_000) < 1e-6


@given(COUNTS)
def test_the_index_is_finite_and_not_negative(counts: list[tuple[int, int]]) -> None:
    reference, window = np.array(counts, dtype=np.float64).T
    index = population_stability(reference, window)
    assert np.isfinite(index)
    assert index >= 0


@pytest.mark.parametrize(("rows_before", "rows_now"), [(12_000, 1_000), (241, 1_000), (241, 500)])
def test_without_drift_the_index_beyond_chance_is_about_zero_whatever_the_sizes(rows_before: int, rows_now: int) -> None:
    random, shares = np.random.default_rng(1), np.full(10, 0.1)
    indices = []
    for _ in range(400):
        before, now = random.multinomial(rows_before, shares), random.multinomial(rows_now, shares)
        indices.append(population_stability(before.astype(float), now.astype(float)))
    assert np.median(indices) < 0.005
    assert np.mean(np.array(indices) >= 0.05) < 0.05


def test_half_a_standard_deviation_is_an_index_of_a_quarter() -> None:
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    shares = np.diff(np.concatenate([[0], stats.norm.cdf(edges, loc=0.5), [1]]))
    assert population_stability(np.full(10, 100_000.0), shares * 1e6) == pytest.approx(0.25, abs=0.02)
