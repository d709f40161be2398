"""A model file is judged before any object of it is made: sizes, arrays, boosters; and its trees before they predict."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from hearth.errors import RefusedModel
from hearth.modelling.families import FAMILIES
from hearth.registry import model_files
from tests.support.model_files import X, booster_text, fitted, nodes, rewrite, saved, set_booster_text


def load(folder: Path, most: int = 10**9) -> Pipeline:
    return model_files.load(folder, "models:/employees/9", most).pipeline


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_model_of_each_family_is_loaded_and_scores_as_before(tmp_path: Path, family: str) -> None:
    loaded = load(saved(tmp_path / "model", family))

    np.testing.assert_array_equal(loaded.predict_proba(X), fitted(family).predict_proba(X))


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_unopened(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "logistic_regression")
    rewrite(folder, lambda _: None, {"999.npy": bytes(50_000_000)})

    with pytest.raises(RefusedModel, match=r"its file of [\d,]+ bytes unpacks to 50,[\d,]+, at most 20,000,000 are allowed"):
        load(folder, 20_000_000)


def test_an_array_that_is_mentioned_again_and_again_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "logistic_regression")
    content = io.BytesIO()
    np.save(content, np.zeros(1_000_000, np.uint8))

    def repeat(schema: dict[str, Any]) -> None:
        schema["more"] = [{"__loader__": "NdArrayNode", "__id__": number, "type": "numpy", "file": "999.npy"} for number in range(30)]

    rewrite(folder, repeat, {"999.npy": content.getvalue()})
    with pytest.raises(RefusedModel, match="its arrays are mentioned again and again"):
        load(folder, 10_000_000)


@pytest.mark.parametrize("name", ["model.npz", "7.bin", "../7.npy", "7.pkl", "folder/7.npy"])
def test_a_member_that_is_no_array_is_refused(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "model", "logistic_regression")
    rewrite(folder, lambda _: None, {name: b"anything"})

    with pytest.raises(RefusedModel, match=r"expected schema\.json and arrays only"):
        load(folder)


def test_an_array_that_claims_more_than_its_member_has_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "logistic_regression")
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    header += b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }".ljust(117) + b"\n"
    rewrite(folder, lambda _: None, {"999.npy": header})

    with pytest.raises(RefusedModel, match=r"the array 999\.npy claims 799,999,999,992 bytes and has 128"):
        load(folder)


class TestBoosters:
    @pytest.mark.parametrize(
        ("old", "new"),
        [("num_class=3", "num_class=2000000000"), ("left_child=", "left_child=9"), ("tree_sizes=", "tree_sizes=9"), ("tree\n", "three\n")],
    )
    def test_a_text_with_an_impossible_line_never_reaches_lightgbm(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
    ) -> None:
        folder = saved(tmp_path / "model", "lightgbm", n_estimators=3)
        rewrite(folder, lambda schema: set_booster_text(schema, booster_text(schema).replace(old, new, 1)))
        monkeypatch.setattr("lightgbm.Booster.__setstate__", lambda *_: pytest.fail("LightGBM has read the text"))

        with pytest.raises(RefusedModel, match=r"cannot be read as a skops file \(InvalidBooster: "):
            load(folder)

    def test_a_booster_in_another_form_than_skops_writes_is_refused_as_its_text_would_not_be_found(self, tmp_path: Path) -> None:
        def older_name(schema: dict[str, Any]) -> None:
            state = nodes(schema, "Booster")[0]["content"]["content"]
            state["handle"] = state.pop("_handle")

        folder = saved(tmp_path / "model", "lightgbm", n_estimators=3)
        rewrite(folder, older_name)
        with pytest.raises(RefusedModel, match="a booster in its file has another form than skops writes"):
            load(folder)

    def test_a_text_that_another_node_of_the_same_id_would_replace_is_refused(self, tmp_path: Path) -> None:
        def stand_in(schema: dict[str, Any]) -> None:
            handle = nodes(schema, "Booster")[0]["content"]["content"]["_handle"]
            evil = {**handle, "content": json.dumps(booster_text(schema).replace("num_class=3", "num_class=2000000000"))}
            schema["content"]["first"] = evil  # skops makes it first, and gives it to all nodes of its id

        folder = saved(tmp_path / "model", "lightgbm", n_estimators=3)
        rewrite(folder, stand_in)
        with pytest.raises(RefusedModel, match="a booster in its file has another form than skops writes"):
            load(folder)

    def test_a_booster_of_more_features_than_its_classifier_takes_is_refused(self, tmp_path: Path) -> None:
        def fewer(schema: dict[str, Any]) -> None:
            nodes(schema, "LGBMClassifier")[0]["content"]["content"]["_n_features_in"] |= {"content": "2", "__id__": 1}

        folder = saved(tmp_path / "model", "lightgbm", n_estimators=3)
        rewrite(folder, fewer)
        with pytest.raises(RefusedModel, match="InvalidStructure: the booster has"):
            load(folder)


class TestOtherTrees:
    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("left_child", 0, "a child that comes before its node"),
            ("right_child", 10**6, "or is outside the tree"),
            ("feature", 10**6, "splits by a feature outside"),
            ("feature", -7, "splits by a feature outside"),
        ],
    )
    def test_a_decision_tree_that_points_outside_itself_is_refused(self, tmp_path: Path, field: str, value: int, reason: str) -> None:
        from hearth.registry.model_structure import require_sound_estimator  # noqa: PLC0415 - what is tested, beside its door

        pipeline = model_files.load(saved(tmp_path / "model", "random_forest"), "m").pipeline
        tree = pipeline["model"].estimators_[0].tree_
        state = tree.__getstate__()
        state["nodes"][field][0] = value
        tree.__setstate__(state)
        with pytest.raises(ValueError, match=reason):
            require_sound_estimator(pipeline, [])

    @pytest.mark.parametrize(("part", "position"), [("rows", 1), ("start", 2), ("leaf", 2)])
    def test_an_index_of_neighbours_that_points_outside_its_rows_is_refused(self, tmp_path: Path, part: str, position: int) -> None:
        from hearth.registry.model_structure import require_sound_estimator  # noqa: PLC0415 - what is tested, beside its door

        pipeline = model_files.load(saved(tmp_path / "model", "knn"), "m").pipeline
        index = pipeline["model"]._tree
        state = [np.array(value) if isinstance(value, np.ndarray) else value for value in index.__getstate__()]
        if part == "rows":
            state[position][0] = 10**6
        elif part == "start":
            state[position]["idx_end"][0] = 10**6
        else:
            state[position]["is_leaf"][-1] = 0
        index.__setstate__(tuple(state))
        with pytest.raises(ValueError, match="of neighbours"):
            require_sound_estimator(pipeline, [])
