"""Models in files: what is written is read back, whatever the example rows hold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hearth.modelling.families import FAMILIES
from hearth.registry import model_files
from hearth.training.tuning import fit
from tests.support.samples import EMPLOYEES, sample_rows

NULLABLE = EMPLOYEES.model_copy(
    update={"columns": {**EMPLOYEES.columns, "Gender": EMPLOYEES.columns["Gender"].model_copy(update={"nullable": True})}}
)


@pytest.mark.parametrize("missing", [0, 3, 5])
def test_an_example_keeps_its_types_however_many_of_its_categories_are_missing(tmp_path: Path, missing: int) -> None:
    X, y = sample_rows(NULLABLE, 60)
    X.loc[: missing - 1, "Gender"] = None
    family = FAMILIES["logistic_regression"]
    pipeline = fit(NULLABLE, X, y, family, params=family.defaults, seed=1)
    model_files.save(tmp_path / "model", pipeline, X.head(5), "m-1", "run-1")

    stored = model_files.load(tmp_path / "model", "the model")

    pd.testing.assert_frame_equal(stored.example, X.head(5), check_column_type=False)
    assert np.array_equal(stored.pipeline.predict_proba(X), pipeline.predict_proba(X))


def test_a_neighbours_model_whose_rows_are_mentioned_by_two_objects_is_written_and_read(tmp_path: Path) -> None:
    X, y = sample_rows(EMPLOYEES, 12_000)  # from there on the rows weigh more than all else in the file
    pipeline = fit(EMPLOYEES, X, y, FAMILIES["knn"], params={"n_neighbors": 25, "weights": "distance", "algorithm": "kd_tree"}, seed=1)

    model_files.save(tmp_path / "model", pipeline, X.head(5), "m-1", "run-1")

    loaded = model_files.load(tmp_path / "model", "the model").pipeline
    assert np.array_equal(loaded.predict_proba(X.head(50)), pipeline.predict_proba(X.head(50)))
