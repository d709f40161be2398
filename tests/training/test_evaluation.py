from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.metrics import f1_score

from hearth.contracts import CategoryColumn, Contract, NumberColumn
from hearth.contracts.model import FileSource, Target
from hearth.modelling.evaluation import Evaluation, calibration_error, evaluate, evaluate_probabilities, macro_f1, metric, reliability
from hearth.training.figures import class_labels, confusion_matrix, draw, png, precision_recall, reliability_diagram
from hearth.training.influence_figures import contribution_figure
from tests.support.contracts import write_contract
from tests.support.samples import EMPLOYEES

PNG = b"\x89PNG\r\n\x1a\n"


class Told:
    """A pipeline that gives the probabilities that it was told."""

    def __init__(self, probabilities: list[list[float]]) -> None:
        self._probabilities = np.array(probabilities)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        assert len(X) == len(self._probabilities)
        return self._probabilities


def judged(probabilities: list[list[float]], truth: list[int], contract: Contract = EMPLOYEES) -> Evaluation:
    X = pd.DataFrame(index=range(len(truth)))
    return evaluate(contract, Told(probabilities), X, pd.Series(truth, dtype="int64"))


LOW, MEDIUM, HIGH = [0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]


def test_metrics_are_those_that_a_hand_computes() -> None:
    evaluation = judged([LOW, LOW, MEDIUM, MEDIUM, HIGH], [0, 1, 1, 1, 2])

    assert evaluation.confusion.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 1]]
    assert evaluation.metrics["accuracy"] == pytest.approx(4 / 5)
    assert evaluation.metrics["macro_precision"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert evaluation.metrics["macro_recall"] == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert evaluation.metrics["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert evaluation.metrics["log_loss"] == pytest.approx(-np.log([0.8, 0.1, 0.6, 0.6, 0.6]).mean())
    assert evaluation.metrics["brier_score"] == pytest.approx((0.06 + (0.64 + 0.81 + 0.01) + 0.24 + 0.24 + 0.26) / 5)
    # 0.8 sure twice and right once, 0.6 sure three times and always right
    assert evaluation.metrics["calibration_error"] == pytest.approx((2 * 0.3 + 3 * 0.4) / 5)
    assert [(scores.label, scores.support) for scores in evaluation.per_class] == [("Low", 1), ("Medium", 3), ("High", 1)]
    assert evaluation.metrics["f1_medium"] == evaluation.per_class[1].f1 == pytest.approx(4 / 5)


def test_a_class_that_is_never_predicted_counts_as_zero() -> None:
    evaluation = judged([LOW, LOW, LOW], [0, 0, 2])

    assert evaluation.per_class[2].f1 == 0
    assert evaluation.metrics["macro_f1"] == pytest.approx(0.8 / 3)


def test_the_contract_names_the_metric() -> None:
    truth, codes = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])

    assert metric(EMPLOYEES.model_copy(update={"metric": "accuracy"}), truth, codes) == 0.75
    assert metric(EMPLOYEES, truth, codes) == pytest.approx((6 / 7) / 3)


codes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=50)


@given(codes)
def test_macro_f1_is_scikit_learns_over_all_classes_of_the_contract(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T

    assert macro_f1(3, truth, predicted) == pytest.approx(f1_score(truth, predicted, labels=[0, 1, 2], average="macro", zero_division=0))


@given(st.lists(st.tuples(st.integers(0, 2), st.lists(st.floats(0.01, 1), min_size=3, max_size=3)), min_size=1, max_size=60))
def test_every_row_is_in_one_bin_and_the_error_is_a_share(rows: list[tuple[int, list[float]]]) -> None:
    truth = np.array([code for code, _ in rows])
    weights = np.array([weights for _, weights in rows])
    bins = reliability(truth, weights / weights.sum(axis=1, keepdims=True))

    assert sum(bin_.count for bin_ in bins) == len(rows)
    assert 0 <= calibration_error(bins) <= 1


def test_a_model_that_is_always_sure_and_right_has_no_calibration_error() -> None:
    assert judged([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 1, 2]).metrics["calibration_error"] == 0


class TestFigures:
    def test_three_pictures_are_drawn(self) -> None:
        pictures = draw(judged([LOW, LOW, MEDIUM, MEDIUM, HIGH], [0, 1, 1, 1, 2]), "employees, knn")

        assert sorted(pictures) == ["confusion_matrix.png", "precision_recall.png", "reliability.png"]
        assert all(content.startswith(PNG) and len(content) > 10_000 for content in pictures.values())

    def test_a_class_without_a_test_row_and_a_single_bin_can_be_drawn(self) -> None:
        pictures = draw(judged([LOW, MEDIUM, LOW], [0, 1, 0]), "employees, knn")

        assert len(pictures) == 3


def with_classes(classes: list[str]) -> Evaluation:
    """Return an evaluation of 20 rows of each class, of which most are predicted right."""
    columns = {"x": NumberColumn(kind="number", minimum=0, maximum=1, unit="u", description="d")}
    target = CategoryColumn(kind="category", categories=tuple(range(len(classes))), description="d")
    contract = Contract(
        name="many",
        title="t",
        description="d",
        source=FileSource(file="a.csv"),
        target=Target(column="y", classes=tuple(classes)),
        metric="macro_f1",
        families=("knn",),
        columns={**columns, "y": target},
    )
    truth = np.tile(np.arange(len(classes)), 20)
    logits = np.random.default_rng(0).normal(size=(len(truth), len(classes))) + 3 * np.eye(len(classes))[truth]
    return evaluate_probabilities(contract, truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


COVER_TYPES = ["Spruce/Fir", "Lodgepole Pine", "Ponderosa Pine", "Cottonwood/Willow", "Aspen", "Douglas-fir", "Krummholz"]


class TestNames:
    @pytest.mark.parametrize("classes", [["Low", "High"], COVER_TYPES, [f"kind {number}" for number in range(24)]], ids=len)
    @pytest.mark.parametrize("draw_one", [precision_recall, reliability_diagram])
    def test_a_legend_hides_no_curve(self, classes: list[str], draw_one: Callable[[Evaluation, str], Figure]) -> None:
        figure = draw_one(with_classes(classes), "title")
        figure.draw_without_rendering()

        [legend] = figure.legends
        bounds = legend.get_window_extent()
        assert [axes for axes in figure.axes if axes.get_window_extent().overlaps(bounds)] == []
        assert figure.bbox.padded(1).containsx(bounds.x0)
        assert figure.bbox.padded(1).containsy(bounds.y0)
        assert figure.bbox.padded(1).containsx(bounds.x1)

    @pytest.mark.parametrize("classes", [["Low", "High"], COVER_TYPES, [f"a long name of kind {number}" for number in range(30)]], ids=len)
    def test_labels_of_a_matrix_do_not_overlap(self, classes: list[str]) -> None:
        figure = confusion_matrix(with_classes(classes), "title")
        figure.draw_without_rendering()

        labels = figure.axes[0].get_xticklabels()
        tilt = np.radians(labels[0].get_rotation())
        anchors = [figure.axes[0].transData.transform((position, 0))[0] for position in range(len(classes))]
        step = np.diff(anchors).min()
        upright = [label.get_window_extent().width for label in labels]
        height = float(labels[0].get_fontsize()) * figure.dpi / 72
        assert step * np.sin(tilt) > height if tilt else step > max(upright)

    def test_names_that_mean_something_to_matplotlib_are_shown_as_they_are(self) -> None:
        evaluation = with_classes(["$1_to_$2", "_rest", "<=50K", "100 %"])

        assert class_labels(evaluation) == [r"\$1_to_\$2", "_rest", "<=50K", "100 %"]
        texts = [text.get_text() for text in precision_recall(evaluation, "t").legends[0].get_texts()]
        assert [text.rpartition(": ")[2] for text in texts[:-1]] == [r"\$1_to_\$2", "_rest", "<=50K", "100 %"]
        assert all(picture.startswith(PNG) for picture in draw(evaluation, "t").values())

    def test_names_that_the_font_lacks_or_that_are_too_long_become_different_labels(self) -> None:
        long = "what is the same in the middle"
        evaluation = with_classes(["低", "é", f"A {long} z", f"B {long} z", f"C {long} one {long} z", f"C {long} two {long} z"])

        labels = class_labels(evaluation)

        assert labels == ["class 1", "é", "A what is the…n the middle z", "B what is the…n the middle z", "class 5", "class 6"]
        assert all(picture.startswith(PNG) for picture in draw(evaluation, "t").values())

    def test_classes_that_differ_by_signs_have_metrics_of_their_own(self, tmp_path: Path) -> None:
        contract = write_contract(tmp_path)
        sure = np.eye(4)[[0, 0, 1, 2, 3]] * 0.96 + 0.01

        metrics = evaluate_probabilities(contract, np.array([0, 1, 1, 2, 3]), sure).metrics

        names = ("le_50k", "gt_50k", "_1_to__2", "_rest")
        assert [metrics[f"precision_{name}"] for name in names] == [0.5, 1, 1, 1]
        assert [metrics[f"recall_{name}"] for name in names] == [1, 0.5, 1, 1]

    def test_columns_and_classes_of_contributions_are_shown_as_they_are(self) -> None:
        sizes = {"Price (k$) of $": np.array([0.1, 0.2]), "年龄": np.array([0.3, 0.1])}

        figure = contribution_figure(sizes, ["_rest", "$1_to_$2"], "title")

        assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [r"Price (k\$) of \$", "column 2"]
        legend = figure.axes[0].get_legend()
        assert legend is not None
        assert [text.get_text().strip() for text in legend.get_texts()] == ["_rest", r"\$1_to_\$2"]
        assert png(figure).startswith(PNG)
