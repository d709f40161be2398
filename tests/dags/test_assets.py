from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from tests.dags import dag_files


@dataclass(frozen=True)
class Update:
    extra: dict[str, Any]


@pytest.fixture(scope="module")
def assets() -> ModuleType:
    return dag_files.load("assets")


def test_the_last_of_several_publications_says_how_many_trials_are_asked_for(assets: ModuleType) -> None:
    assert assets.requested_trials([Update({"trials": 3}), Update({"trials": 5})]) == 5
    assert assets.requested_trials([Update({"trials": 3}), Update({"trials": None})]) is None


def test_a_run_by_hand_or_an_event_of_an_earlier_version_asks_for_none(assets: ModuleType) -> None:
    assert assets.requested_trials([]) is None
    assert assets.requested_trials([Update({"digest": "0123"})]) is None
