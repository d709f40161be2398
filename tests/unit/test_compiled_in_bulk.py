"""Neighbours and support vectors in compiled form: scikit-learn's results, whatever the rows look like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from hearth.serving.compiled import neighbours
from hearth.serving.compiled.neighbours import CompiledNeighbours
from hearth.serving.compiled.scaling import CannotCompile
from hearth.serving.compiled.support_vectors import CompiledMachine


def assert_within(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def cloud(rows: int, columns: int, seed: int, *, steps: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Random rows and classes; with `steps` each number has so many values, so that rows are equal and equally far away."""
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=(rows, columns))
    if steps:
        numbers = np.round(numbers * steps) / steps
    return numbers, np.arange(rows) % classes if rows >= classes else np.zeros(rows, int)


class TestNeighbours:
    @settings(deadline=None, max_examples=60)
    @given(
        rows=st.integers(3, 400),
        columns=st.integers(1, 6),
        neighbours=st.integers(1, 40),
        weights=st.sampled_from(["uniform", "distance"]),
        algorithm=st.sampled_from(["auto", "ball_tree", "kd_tree", "brute"]),
        steps=st.sampled_from([0, 1, 2]),
        scale=st.sampled_from([1e-6, 1.0, 1e6]),
        seed=st.integers(0, 1000),
    )
    def test_the_probabilities_are_scikit_learns(  # noqa: PLR0913, PLR0917 - what a model can be
        self, rows: int, columns: int, neighbours: int, weights: str, algorithm: str, steps: int, scale: float, seed: int
    ) -> None:
        numbers, classes = cloud(rows, columns, seed, steps=steps)
        model = KNeighborsClassifier(min(neighbours, rows), weights=weights, algorithm=algorithm).fit(numbers * scale, classes)
        asked = np.concatenate([numbers[:20], cloud(40, columns, seed + 1, steps=steps)[0]]) * scale

        assert_within(CompiledNeighbours(model)(asked), model.predict_proba(asked))

    @pytest.mark.parametrize("rows", [5_000, 15_001])
    def test_so_they_are_with_many_rows_and_few_records_are_left_to_scikit_learn(self, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
        numbers, classes = cloud(rows, 10, 1)
        model = KNeighborsClassifier(25, weights="distance").fit(numbers, classes)
        asked, _ = cloud(500, 10, 2)
        expected = model.predict_proba(asked)
        left: list[int] = []

        def leave(X: np.ndarray) -> np.ndarray:
            left.append(len(X))
            return np.zeros((len(X), 3))

        monkeypatch.setattr(model, "predict_proba", leave)

        assert_within(CompiledNeighbours(model)(asked), expected)
        assert left == []

    def test_rows_far_from_all_others_and_numbers_beyond_float32_are_answered_as_by_scikit_learn(self) -> None:
        numbers, classes = cloud(3_000, 4, 3)
        model = KNeighborsClassifier(9).fit(numbers, classes)
        asked = np.array([[1e3] * 4, [1e9] * 4, [1e30] * 4, [-1e150] * 4, [0.0] * 4])

        assert_within(CompiledNeighbours(model)(asked), model.predict_proba(asked))

    def test_no_record_gives_no_probabilities(self) -> None:
        numbers, classes = cloud(50, 2, 4)
        compiled = CompiledNeighbours(KNeighborsClassifier(3).fit(numbers, classes))

        assert compiled(np.empty((0, 2))).shape == (0, 3)

    @pytest.mark.parametrize("changes", [{"metric": "manhattan"}, {"weights": np.sqrt}])
    def test_other_distances_and_weights_have_no_compiled_form(self, changes: dict[str, object]) -> None:
        numbers, classes = cloud(50, 2, 5)
        model = KNeighborsClassifier(3, **changes).fit(numbers, classes)

        with pytest.raises(CannotCompile, match="has no compiled form"):
            CompiledNeighbours(model)

    def test_many_train_rows_are_left_to_scikit_learns_tree(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(neighbours, "MOST_VALUES", 99)
        numbers, classes = cloud(50, 2, 6)

        with pytest.raises(CannotCompile, match="50 train rows of 2 features are searched by scikit-learn"):
            CompiledNeighbours(KNeighborsClassifier(3).fit(numbers, classes))


class TestMachine:
    @settings(deadline=None, max_examples=40)
    @given(
        rows=st.integers(20, 200),
        columns=st.integers(1, 6),
        classes=st.integers(2, 5),
        kernel=st.sampled_from(["rbf", "linear"]),
        gamma=st.sampled_from(["scale", 0.005, 0.5]),
        strength=st.sampled_from([0.05, 1.0, 20.0]),
        seed=st.integers(0, 1000),
    )
    def test_the_decision_values_are_scikit_learns(  # noqa: PLR0913, PLR0917 - what a model can be
        self, rows: int, columns: int, classes: int, kernel: str, gamma: float | str, strength: float, seed: int
    ) -> None:
        numbers, labels = cloud(rows, columns, seed, classes=classes)
        model = SVC(C=strength, kernel=kernel, gamma=gamma).fit(numbers, labels)
        asked = np.concatenate([numbers, cloud(50, columns, seed + 1)[0]])
        expected = model.decision_function(asked).reshape(len(asked), -1)

        assert_within(CompiledMachine(model)(asked), expected)

    def test_no_record_gives_no_values(self) -> None:
        numbers, labels = cloud(60, 2, 1)

        assert CompiledMachine(SVC().fit(numbers, labels))(np.empty((0, 2))).shape == (0, 3)

    @pytest.mark.parametrize("changes", [{"kernel": "poly"}, {"decision_function_shape": "ovo"}])
    def test_other_kernels_and_shapes_have_no_compiled_form(self, changes: dict[str, str]) -> None:
        numbers, labels = cloud(60, 2, 2)

        with pytest.raises(CannotCompile, match="has no compiled form"):
            CompiledMachine(SVC(**changes).fit(numbers, labels))
