"""LightGBM's text: what LightGBM writes is read as LightGBM has it; what would make LightGBM crash or hang is refused."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import Booster, Dataset, train

from hearth.modelling.booster_text import InvalidBooster, Tree, read_booster, require_classifier

ROWS = np.random.default_rng(5).normal(size=(300, 4))
ROWS[::7, 1] = np.nan
STRUCTURE = (
    "num_class",
    "num_tree_per_iteration",
    "max_feature_idx",
    "label_index",
    "tree_sizes",
    "num_leaves",
    "num_cat",
    "split_feature",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_count",
    "internal_count",
    "is_linear",
)
# Loads a text and scores rows with it, in a process that may crash
CHILD = """
import json, sys
import numpy as np
from lightgbm import Booster
rows = np.load(sys.argv[1])
for line in sys.stdin:
    booster = Booster(model_str=json.loads(line))
    print(json.dumps(booster.predict(rows, num_threads=1).tolist()), flush=True)
"""


@cache
def text_of(objective: str = "multiclass", leaves: int = 7, rounds: int = 4, **params: object) -> str:
    classes = {"multiclass": 3, "binary": 2, "regression": 5}[objective]
    given = {"objective": objective, "num_leaves": leaves, "min_data_in_leaf": 2, "verbose": -1, "num_threads": 1, **params}
    if objective == "multiclass":
        given["num_class"] = 3
    labels = np.digitize(np.nan_to_num(ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]), [-0.5, 0.5]) % classes
    text: str = train(given, Dataset(ROWS, labels), rounds).model_to_string()
    return text


def changed(text: str, line: str, value: str, occurrence: int = 0) -> str:
    """Replace the value of a line, and correct tree_sizes, so that nothing else is wrong."""
    found = [*re.finditer(rf"(?m)^{line}=(.*)$", text)][occurrence]
    new = text[: found.start(1)] + value + text[found.end(1) :]
    return with_sizes(new)


def with_sizes(text: str) -> str:
    header, _, rest = text.partition("\n\n")
    trees = rest[: rest.index("end of trees")]
    sizes = " ".join(str(len(part)) for part in re.split(r"(?m)(?=^Tree=)", trees) if part)
    return re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", header) + "\n\n" + rest


@pytest.mark.parametrize("objective", ["multiclass", "binary", "regression"])
@pytest.mark.parametrize("leaves", [2, 7, 90])
@pytest.mark.parametrize("boosting", ["gbdt", "rf", "dart"])
def test_what_lightgbm_writes_is_read_as_lightgbm_dumps_it(objective: str, leaves: int, boosting: str) -> None:
    bagging = {"bagging_fraction": 0.7, "bagging_freq": 1} if boosting == "rf" else {}
    text = text_of(objective, leaves, boosting=boosting, **bagging)
    dump = Booster(model_str=text).dump_model()
    found = read_booster(text)

    assert (found.features, found.outputs) == (dump["max_feature_idx"] + 1, dump["num_tree_per_iteration"])
    assert len(found.trees) == len(dump["tree_info"])
    for tree, dumped in zip(found.trees, dump["tree_info"], strict=True):
        waiting = [(0 if len(tree.leaf_value) > 1 else -1, dumped["tree_structure"])]
        while waiting:
            child, node = waiting.pop()
            if child < 0:
                assert tree.leaf_value[~child] == node["leaf_value"]
            else:
                assert tree.split_feature[child] == node["split_feature"]
                assert min(tree.threshold[child], 1e300) == node["threshold"]  # a dump has no infinite number
                waiting += [(tree.left[child], node["left_child"]), (tree.right[child], node["right_child"])]


@pytest.mark.parametrize(
    ("line", "value", "reason"),
    [
        ("left_child", "1 2 3 4 5 99", "the children are not every one of 7 leaves and 5 inner nodes once"),
        ("left_child", "0 -1 -2 -3 -4 -5", "the children are not every one"),
        ("left_child", "-1 -2 -3", "left_child has 3 numbers, expected 6"),
        ("split_feature", "0 1 2 3 4 1", "a split_feature is outside 0 to 3"),
        ("split_feature", "0 1 2 3 -1 1", "a split_feature is outside 0 to 3"),
        ("num_leaves", "2000000000", "expected 1999999999"),
        ("num_leaves", "0", "num_leaves is 0, expected at least 1"),
        ("num_cat", "3", "categorical splits or linear leaves"),
        ("is_linear", "1", "categorical splits or linear leaves"),
        ("decision_type", "2 2 2 2 2 1", "a decision_type is none of a numerical split"),
        ("leaf_count", "1 1 1 1 1 1 -1", "a leaf_count is below 0"),
        ("leaf_count", "1 1 1 1 1 1 1", "is not the sum of the counts"),
        ("leaf_value", "1 2 3 4 5 6 nan", "a leaf_value is not finite"),
        ("leaf_value", "1 2 3 4 5 6 0x7", "leaf_value holds something else than numbers"),
        ("threshold", "1 2 3 4 5 nan", "a threshold is no number"),
        ("num_class", "2000000000", "num_class is 2000000000, but num_tree_per_iteration 3"),
        ("num_class", "0", "num_class is 0, expected at least 1"),
        ("num_tree_per_iteration", "0", "num_tree_per_iteration is 0, expected at least 1"),
        ("max_feature_idx", "2000000000", "feature_names has 4 entries, expected 2000000001"),
        ("max_feature_idx", "-1", "max_feature_idx is -1"),
        ("version", "v3", "the version is 'v3', expected 'v4'"),
        ("label_index", "99", "label_index is above the number of features"),
    ],
)
def test_an_impossible_line_is_refused_with_its_reason(line: str, value: str, reason: str) -> None:
    with pytest.raises(InvalidBooster, match=re.escape(reason)):
        read_booster(changed(text_of(), line, value))


def test_a_circle_of_nodes_is_refused() -> None:
    text = changed(changed(text_of(), "left_child", "-1 2 1 4 3 5"), "right_child", "-2 -3 -4 -5 -6 -7")
    with pytest.raises(InvalidBooster, match="a node has a child that comes before it"):
        read_booster(text)


@pytest.mark.parametrize("sizes", ["1", "99999999999", "-5 5", "", "653 830", "0 0 0"])
def test_sizes_that_do_not_fit_the_trees_are_refused(sizes: str) -> None:
    with pytest.raises(InvalidBooster):
        read_booster(re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", text_of()))


@pytest.mark.parametrize("text", ["", "tree", "tree\n\n", "tree\nversion=v4\n\nend of trees\n", "tree\0\n\n", "Tree=0\n\n"])
def test_what_is_no_booster_is_refused(text: str) -> None:
    with pytest.raises(InvalidBooster):
        read_booster(text)


def test_a_text_behind_a_zero_byte_which_lightgbm_would_not_see_is_refused() -> None:
    with pytest.raises(InvalidBooster, match="control character"):
        read_booster(text_of().replace("end of trees", "\0end of trees"))


@pytest.mark.parametrize(
    ("objective", "reason"),
    [("regression", "expected binary"), ("multiclass num_class:200000000", "200000000 classes"), ("binary sigmoid:1", "1 classes")],
)
def test_an_objective_of_another_kind_or_another_number_of_classes_is_refused(objective: str, reason: str) -> None:
    require_classifier(read_booster(text_of()))
    require_classifier(read_booster(text_of("binary")))
    with pytest.raises(InvalidBooster, match=reason):
        require_classifier(read_booster(changed(text_of(), "objective", objective)))


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    """The text of a booster with some tokens of its structure replaced."""
    text = text_of(draw(st.sampled_from(["multiclass", "binary"])), draw(st.sampled_from([2, 7])))
    for _ in range(draw(st.integers(1, 3))):
        line = draw(st.sampled_from(STRUCTURE))
        found = draw(st.sampled_from([*re.finditer(rf"(?m)^{line}=(.*)$", text)]))
        tokens = found[1].split(" ")
        small = st.integers(-9, 9).map(str)
        large = st.sampled_from(["2000000000", "-2147483648", "4294967296", "99999999999999999999", "1e9", "nan", "", "0x10", "1 2"])
        tokens[draw(st.integers(0, len(tokens) - 1))] = draw(st.one_of(small, st.sampled_from(tokens), large))
        text = text[: found.start(1)] + " ".join(tokens) + text[found.end(1) :]
        if line != "tree_sizes" and draw(st.booleans()):
            text = with_sizes(text)
    return text


class Loader:
    """A process that loads texts and scores rows; it is started anew after a crash."""

    def __init__(self, rows: Path) -> None:
        self.rows = rows
        self.process: subprocess.Popen[str] | None = None

    def scores(self, text: str) -> np.ndarray:
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-c", CHILD, str(self.rows)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"LightGBM ended its process with code {self.process.wait()} on a text that was accepted"
        return np.array(json.loads(line))

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Loader:  # type: ignore[misc]  # a generator
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(path, ROWS)
    loader = Loader(path)
    yield loader
    loader.close()


@settings(max_examples=300, deadline=None)
@given(text=mutated_texts())
def test_a_mutated_text_is_refused_or_scores_without_a_crash_as_its_trees_say(text: str, loader: Loader) -> None:
    try:
        booster = read_booster(text)
        require_classifier(booster)
    except InvalidBooster:
        return
    found = loader.scores(text)
    expected: np.ndarray
    raw = np.zeros((len(ROWS), booster.outputs))
    for number, tree in enumerate(booster.trees):
        raw[:, number % booster.outputs] += [walk(tree, row) for row in ROWS]
    expected = np.asarray(1 / (1 + np.exp(-raw[:, 0])))
    if booster.outputs > 1:
        expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def walk(tree: Tree, row: np.ndarray) -> float:
    """Return the value of the leaf that a row reaches, by LightGBM's rules for missing values."""
    node = 0 if len(tree.leaf_value) > 1 else -1
    while node >= 0:
        value, kind = float(row[tree.split_feature[node]]), int(tree.decision_type[node])
        missing = kind >> 2 & 3
        if np.isnan(value) and missing != 2:
            value = 0.0
        is_missing = (missing == 1 and abs(value) <= 1e-35) or (missing == 2 and np.isnan(value))
        left = bool(kind & 2) if is_missing else value <= float(tree.threshold[node])
        node = int((tree.left if left else tree.right)[node])
    return float(tree.leaf_value[~node])
