"""Every error has a code of its own, and its place in the tree that the module draws."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from hearth import errors
from hearth.errors import ErrorKind, HearthError, InvalidContract, InvalidRecords, InvalidStatistics, Problem

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HearthError)]


def test_no_two_errors_have_the_same_code() -> None:
    codes = [kind.code for kind in CLASSES]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_in_the_tree_of_the_module_below_its_parent(kind: type[HearthError]) -> None:
    """The depth of a name in the drawing is its depth in the class tree."""
    [line] = re.findall(rf"^([ │├└─]*){kind.__name__}(?: |$)", errors.__doc__ or "", flags=re.MULTILINE)

    assert len(line) == 4 * (kind.__mro__.index(HearthError) + 1)


@pytest.mark.parametrize("protocol", ["hearth_api.errors", "grpc_service.errors"])
def test_every_protocol_has_a_status_for_every_fault(protocol: str) -> None:
    assert set(importlib.import_module(protocol).STATUS) == set(ErrorKind)


@pytest.mark.parametrize("kind", [InvalidContract, InvalidStatistics])
def test_an_error_about_a_file_carries_file_key_and_reason(kind: type[InvalidContract | InvalidStatistics]) -> None:
    error = kind(Path("data/x/file"), "a.b", "is wrong")

    assert (error.path, error.key, error.reason) == (Path("data/x/file"), "a.b", "is wrong")
    assert str(error) == f"{Path('data/x/file')}: a.b: is wrong"


def test_a_problem_is_a_sentence_for_people_and_values_for_programs() -> None:
    problem = Problem(3, "Designation", "x", "a whole number")

    assert str(problem) == "row 3, 'Designation': got 'x', expected a whole number"
    assert problem.to_dict() == {"row": 3, "column": "Designation", "value": "x", "expected": "a whole number"}


def test_the_error_of_one_problem_does_not_speak_of_more() -> None:
    assert "more" not in str(InvalidRecords([Problem(0, "a", 1, "b")]))
    assert str(InvalidRecords([Problem(0, "a", 1, "b")] * 3)).endswith("(and 2 more)")
