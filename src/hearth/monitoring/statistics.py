"""Two-sample statistics: counts, means and shares of a window against those of a reference that is a sample too.

The reference has a size of its own, and a small one explains large differences: the profile of 241 rows is off by itself, and a test that
took its shares for the truth would find that in every window. So each statistic here carries both sizes.

Nor is every difference worth a word: a train set leaves out what had no label, so records that are served differ from it a little for ever
(by 0.05 standard deviations in the employees data). With enough records a test finds any difference; so those of numbers and categories
test whether it is more than negligible. Pure.
"""

import math

import numpy as np
from scipy.special import chdtrc, chndtr, stdtr
from scipy.stats import hypergeom

_LEAST_EXPECTED = 5.0  # in each bin and sample, which the chi-square distribution needs (Cochran 1954)
_FEWEST_BINS = 2
NEGLIGIBLE = 0.05
"""Standard deviations by which a mean may differ; the population stability index of a shift by that is its square."""


def pool_rare_bins(reference: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up the bins in which the smaller sample is expected to have less than 5 values.

    `reference` and `window` are counts, shape (bins,). If the rare bins together are still rare, the next smallest is added to them.
    """
    both = reference + window
    total = both.sum()
    if not total:
        return reference[:1], window[:1]
    expected = both * min(reference.sum(), window.sum()) / total
    order = np.argsort(expected, kind="stable")
    cumulated = np.cumsum(expected[order])
    rare = int((expected < _LEAST_EXPECTED).sum())
    if rare and cumulated[rare - 1] < _LEAST_EXPECTED:
        rare = min(int(np.searchsorted(cumulated, _LEAST_EXPECTED)) + 1, len(order))
    if not rare:
        return reference, window
    pooled, kept = order[:rare], np.sort(order[rare:])
    return np.append(reference[kept], reference[pooled].sum()), np.append(window[kept], window[pooled].sum())


def chi_square(reference: np.ndarray, window: np.ndarray, negligible: float = 0.0) -> float:
    """Return the p-value of Pearson's test of homogeneity of two samples of counts, shape (bins,); 1 if there is nothing to compare.

    The hypothesis is a shift of a mean by at most `negligible` standard deviations, under which the statistic is about noncentral
    chi-square with N R / (N + R) times its square. With 0 it is `scipy.stats.chi2_contingency([reference, window], correction=False)`.
    Rare bins are to be pooled before.
    """
    both = reference + window
    reference, window = reference[both > 0], window[both > 0]
    rows_before, rows_now = reference.sum(), window.sum()
    if len(window) < _FEWEST_BINS or not rows_before or not rows_now:
        return 1.0
    root = math.sqrt(rows_now / rows_before)
    statistic = float((np.square(reference * root - window / root) / (reference + window)).sum())
    noncentrality = negligible**2 * float(rows_before * rows_now / (rows_before + rows_now))
    central = float(chdtrc(len(window) - 1, statistic))
    if not noncentrality:
        return central
    return max(central, 1 - float(chndtr(statistic, len(window) - 1, noncentrality)))  # the difference of two numbers near 1 may round to 0


def population_stability(reference: np.ndarray, window: np.ndarray) -> float:
    """Return the population stability index of counts beyond what chance explains, at least 0.

    The index is the symmetric Kullback-Leibler divergence of the shares. Without any drift it is about chi-square with bins - 1 degrees of
    freedom, divided by N R / (N + R) (Yurdakul and Naranjo 2020), so its mean (bins - 1) (1 / N + 1 / R) is subtracted. Half a value is
    added to each count, so that an empty bin has a finite logarithm.
    """
    both = reference + window
    reference, window = reference[both > 0], window[both > 0]
    rows_before, rows_now, bins = reference.sum(), window.sum(), len(window)
    if bins < _FEWEST_BINS or not rows_before or not rows_now:
        return 0.0
    before = (reference + 0.5) / (rows_before + 0.5 * bins)
    now = (window + 0.5) / (rows_now + 0.5 * bins)
    index = float(((now - before) * np.log(now / before)).sum())
    return max(0.0, index - (bins - 1) * float(1 / rows_before + 1 / rows_now))


def welch(mean: float, std: float, count: int, values: np.ndarray, negligible: float = 0.0) -> float:
    """Return the p-value of Welch's test that a window, shape (n,), has the mean of the reference; 1 if there is nothing to compare.

    The means may differ by `negligible` of the reference's standard deviations. With 0 it is `scipy.stats.ttest_ind(…, equal_var=False)`.
    `std` of the reference is that of its values, with `ddof=0`, as profiles keep it.
    """
    n = len(values)
    if count < _FEWEST_BINS or n < _FEWEST_BINS:
        return 1.0
    before, now = std**2 / (count - 1), float(values.var()) / (n - 1)
    if before + now == 0:
        return 1.0 if float(values.mean()) == mean else 0.0
    t = max(0.0, abs(float(values.mean()) - mean) - negligible * std) / math.sqrt(before + now)
    degrees = (before + now) ** 2 / (before**2 / (count - 1) + now**2 / (n - 1))
    return float(2 * stdtr(degrees, -t))


def share_difference(hits_before: int, rows_before: int, hits_now: int, rows_now: int) -> float:
    """Return the p-value that two shares are the same, from Fisher's exact test, twice the smaller side.

    Exact, because shares near 0 are usual here: by the normal approximation one missing value in 1,000, where 12,000 rows had none, is an
    alarm.
    """
    hits, rows = hits_before + hits_now, rows_before + rows_now
    if hits in {0, rows} or not rows_before or not rows_now:
        return 1.0
    parameters = rows, hits, rows_now
    return float(min(1.0, 2 * min(hypergeom.cdf(hits_now, *parameters), hypergeom.sf(hits_now - 1, *parameters))))
