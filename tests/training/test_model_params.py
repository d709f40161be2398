from pathlib import Path

import pytest

from hearth.contracts import list_contracts
from hearth.errors import InvalidModelParams
from hearth.jobs.model_params import read_model_params
from hearth.modelling.families import FAMILIES
from tests.support.samples import EMPLOYEES, ROOT


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "model_params.yaml"
    path.write_text(text, "utf-8")
    return path


def test_what_is_written_wins_over_the_catalogue_and_the_rest_is_as_there(tmp_path: Path) -> None:
    path = written(tmp_path, "employees: {knn: {n_neighbors: 7, algorithm: brute}}")

    assert read_model_params(path, EMPLOYEES, "knn") == {**FAMILIES["knn"].defaults, "n_neighbors": 7, "algorithm": "brute"}


@pytest.mark.parametrize("text", ["", "others: {knn: {n_neighbors: 7}}", "employees:", "employees: {knn: }"])
def test_what_is_not_written_is_as_in_the_catalogue(tmp_path: Path, text: str) -> None:
    assert read_model_params(written(tmp_path, text), EMPLOYEES, "knn") == FAMILIES["knn"].defaults


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("employees: {knn: {neighbours: 7}}", "employees.knn.neighbours", "is no parameter of this family; those are: algorithm,"),
        ("employees: {knnn: {n_neighbors: 7}}", "employees.knnn", "is no family of this data set; those are: knn, svm, lightgbm"),
        ("employees: {knn: {n_neighbors: [7]}}", "employees.knn.n_neighbors", "must be a number, a word, true or false, got [7]"),
        ("employees: {knn: {n_neighbors: .nan}}", "employees.knn.n_neighbors", "must be a number, a word, true or false, got nan"),
        ("employees: {knn: 7}", "employees.knn", "must be a mapping of names, got 7"),
        ("employees: knn", "employees", "must be a mapping of names, got 'knn'"),
        ("[employees]", "the file", "must be a mapping of names"),
        ("employees: {", "line 1", "expected the node content"),
        ("employees:\n  knn: {n_neighbors: 7, n_neighbors: 9}", "line 2", "the key 'n_neighbors' is written twice"),
        ("employees: {knn: {n_neighbors: 0_7}}", "line 1", "0_7 is read as 7 by YAML 1.1"),
        ("employees: {svm: {C: 1e-3}}", "line 1", "1e-3 is read as a text by YAML 1.1: write '1e-3', in quotes, or 0.001 if that number"),
    ],
)
def test_a_mistake_is_refused_with_file_key_and_reason(tmp_path: Path, text: str, key: str, reason: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(InvalidModelParams) as refused:
        read_model_params(path, EMPLOYEES, "knn")

    assert (refused.value.path, refused.value.key) == (path, key)
    assert reason in refused.value.reason


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelParams, match=r"nothing\.yaml: the file: is not there"):
        read_model_params(tmp_path / "nothing.yaml", EMPLOYEES, "knn")


def test_the_file_of_this_repository_is_good() -> None:

    path = ROOT / "airflow" / "config" / "model_params.yaml"
    for contract in list_contracts(ROOT / "data"):
        for family in contract.families:
            assert read_model_params(path, contract, family).keys() >= FAMILIES[family].defaults.keys()
