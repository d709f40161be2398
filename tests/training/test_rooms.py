import importlib

import pytest

from tests.support.rooms import AIRFLOW, EVERYWHERE, modules_of


@pytest.mark.parametrize("room", [*EVERYWHERE, *AIRFLOW])
def test_a_room_that_trains_can_be_imported_whole_where_models_are_trained(room: str) -> None:
    assert all(importlib.import_module(name) for name in modules_of(room))
