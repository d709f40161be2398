import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, log_loss

from hearth.modelling.comparison import CONFUSION_METRICS, compare, log_loss_interval, metric_interval, share, share_difference
from hearth.modelling.evaluation import METRICS

seeds = st.integers(0, 2**32 - 1)


def probabilities(rng: np.random.Generator, truth: np.ndarray, classes: int = 3, skill: float = 1.0) -> np.ndarray:
    raw = rng.gumbel(size=(len(truth), classes)) + skill * np.eye(classes)[truth]
    return np.asarray(np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True))


@given(seeds, st.integers(2, 7), st.integers(1, 60))
def test_metrics_of_confusion_matrices_are_those_of_the_evaluation(seed: int, classes: int, rows: int) -> None:
    """Few rows of many classes: some are neither present nor predicted."""
    rng = np.random.default_rng(seed)
    truth, codes = rng.integers(classes, size=(2, rows))
    confusion = confusion_matrix(truth, codes, labels=range(classes))

    for name, measure in METRICS.items():
        assert CONFUSION_METRICS[name](confusion[None])[0] == pytest.approx(measure(classes, truth, codes, None), abs=1e-12)


@settings(max_examples=20)
@given(seeds)
def test_a_comparison_the_other_way_round_is_its_mirror_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=300)
    one, other = probabilities(rng, truth), probabilities(rng, truth, skill=1.5)

    there, back = compare("macro_f1", truth, one, other), compare("macro_f1", truth, other, one)

    assert there.metric.figure == pytest.approx(-back.metric.figure, abs=1e-12)
    assert there.log_loss.low == pytest.approx(-back.log_loss.high)
    assert there.changed == back.changed
    # Cells are drawn in another order, so the bounds agree within the noise of the draws
    assert there.metric.low == pytest.approx(-back.metric.high, abs=0.01)


def test_a_model_equals_itself_without_any_interval() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=300)
    one = probabilities(rng, truth)

    same = compare("macro_f1", truth, one, one)

    assert (same.metric.low, same.metric.figure, same.metric.high) == (0, 0, 0)
    assert (same.log_loss.low, same.log_loss.high) == (0, 0)
    assert same.changed.figure == 0
    assert not same.is_better
    assert not same.is_worse
    assert same.breaks_tie("log_loss") == same.breaks_tie("size") == 0


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(3, size=200)
    one, other = probabilities(rng, truth), probabilities(rng, truth)

    assert compare("macro_f1", truth, one, other, seed=5) == compare("macro_f1", truth, one, other, seed=5)
    assert compare("macro_f1", truth, one, other, seed=5).metric != compare("macro_f1", truth, one, other, seed=6).metric


def test_drawing_cells_is_resampling_rows() -> None:
    """The interval is that of the slow bootstrap, which draws rows."""
    rng = np.random.default_rng(2)
    truth = rng.integers(3, size=400)
    one, other = probabilities(rng, truth, skill=2), probabilities(rng, truth, skill=1.5)
    codes, other_codes = one.argmax(axis=1), other.argmax(axis=1)
    drawn = []
    measure = CONFUSION_METRICS["macro_f1"]
    for _ in range(1_500):
        rows = rng.integers(400, size=400)
        confusions = [np.bincount(truth[rows] * 3 + each[rows], minlength=9).reshape(1, 3, 3) for each in (codes, other_codes)]
        drawn.append(float(measure(confusions[0])[0] - measure(confusions[1])[0]))

    interval = compare("macro_f1", truth, one, other).metric

    assert (interval.low, interval.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


@pytest.mark.parametrize("metric", ["macro_f1", "accuracy"])
def test_equal_models_are_called_different_in_one_of_twenty_cases(metric: str) -> None:
    rng = np.random.default_rng(3)
    different = 0
    for _ in range(400):
        truth = rng.integers(3, size=500)
        result = compare(metric, truth, probabilities(rng, truth), probabilities(rng, truth), resamples=500)
        different += result.is_better or result.is_worse

    assert 0.02 <= different / 400 <= 0.08


def test_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match="without a row"):
        compare("accuracy", np.empty(0, dtype=np.int64), np.empty((0, 3)), np.empty((0, 3)))


def test_a_log_loss_is_that_of_scikit_learn_within_its_interval() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(3, size=500)
    one = probabilities(rng, truth)

    interval = log_loss_interval(truth, one, level=0.95)

    assert interval.figure == pytest.approx(log_loss(truth, one))
    assert interval.low < interval.figure < interval.high


def test_a_metric_has_a_narrower_interval_with_more_rows() -> None:
    confusion = np.array([[30, 5, 1], [6, 20, 4], [1, 3, 10]])

    few, many = metric_interval("macro_f1", confusion, level=0.95), metric_interval("macro_f1", confusion * 100, level=0.95)

    assert few.figure == pytest.approx(many.figure)
    assert few.low < many.low < many.figure < many.high < few.high


@settings(max_examples=50)
@given(st.integers(1, 400), st.data())
def test_shares_and_their_differences_lie_within_what_is_possible(rows: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, rows))
    one, gap = share(count, rows, 0.95), share_difference(count, rows, rows - count, rows, 0.95)

    assert 0 <= one.low <= one.figure <= one.high <= 1
    assert -1 <= gap.low <= gap.figure <= gap.high <= 1


def test_a_difference_of_shares_is_that_of_newcombe() -> None:
    """His first example of 1998: 56 of 70 against 48 of 80."""
    gap = share_difference(56, 70, 48, 80, 0.95)

    assert (gap.figure, gap.low, gap.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
