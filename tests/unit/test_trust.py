"""`trust.json`: what a version knows of its limits is stored with its model, and read with the same mistrust."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hearth.errors import RefusedModel
from hearth.modelling.prediction_sets import PredictionSets
from hearth.modelling.trust import MOST_BYTES, Trust
from hearth.registry import model_files
from hearth.serving.model_follower import ModelFollower
from tests.support.fake_registry import FakeRegistry
from tests.support.model_files import X, fitted, saved
from tests.support.samples import EMPLOYEES

TRUST = Trust(sets=PredictionSets(0.9, (0.25, 0.125, 0.5)))


def saved_with_trust(folder: Path) -> Path:
    model_files.save(folder, fitted("logistic_regression"), X.head(3), "m-1", "run-1", TRUST)
    return folder


def test_what_is_saved_with_a_model_is_loaded_with_it_and_is_among_the_digests(tmp_path: Path) -> None:
    folder = saved_with_trust(tmp_path / "model")

    assert model_files.load(folder, "the model").trust == TRUST
    assert set(model_files.digests(folder)) == {*model_files.REQUIRED_FILES, "trust.json"}


def test_a_version_of_an_earlier_release_is_loaded_without(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "logistic_regression")

    assert model_files.load(folder, "the model").trust is None
    assert set(model_files.digests(folder)) == set(model_files.REQUIRED_FILES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read at its start"),
        (b"[]", "cannot be read at its start"),
        (b"[" * 100_000, "cannot be read at its start"),
        (json.dumps({"sets": {"level": 0.9}}).encode(), "cannot be read at sets.thresholds"),
        (json.dumps({"sets": {"level": 0.9, "thresholds": [0.1, 0.2, "0.3"]}}).encode(), "cannot be read at sets.thresholds.2"),
        (json.dumps({"sets": {"level": 0.9, "thresholds": [0.1, 0.2, 1.1]}}).encode(), "less than or equal to 1"),
        (json.dumps({"sets": {"level": 1, "thresholds": [0.1, 0.2, 0.3]}}).encode(), "cannot be read at sets.level"),
        (b'{"sets": {"level": 0.9, "thresholds": [0.1, NaN, 0.3]}}', "cannot be read at sets.thresholds.1"),
        (json.dumps({"sets": {"level": 0.9, "thresholds": [0.1, 0.2]}}).encode(), "has thresholds of 2 classes, the model has 3"),
        (b" " * (MOST_BYTES + 5), "at most 4,000,000 are allowed"),
    ],
    ids=range(10),
)
def test_anything_else_in_its_place_is_refused_with_the_place(tmp_path: Path, content: bytes, reason: str) -> None:
    folder = saved_with_trust(tmp_path / "model")
    (folder / "trust.json").write_bytes(content)

    with pytest.raises(RefusedModel, match=reason):
        model_files.load(folder, "models:/employees/9")


def test_a_part_that_this_release_does_not_know_is_left_out() -> None:
    content = json.dumps({**json.loads(TRUST.to_json()), "tomorrow": {"x": 1}}).encode()

    assert Trust.from_json(content, 3, "the model") == TRUST
    assert Trust.from_json(replace(TRUST, sets=None).to_json(), 3, "the model") == Trust()


def test_a_served_model_has_it() -> None:
    registry = FakeRegistry(champion="1")
    registry.trust = TRUST
    models = ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=60)
    models.poll()

    assert models.get("employees", "champion").trust == TRUST
