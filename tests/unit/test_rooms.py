import importlib
import pkgutil

import pytest

import hearth
from tests.support.rooms import AIRFLOW, EVERYWHERE, SERVE, modules_of


@pytest.mark.parametrize("room", [*EVERYWHERE, *SERVE])
def test_a_room_that_serves_can_be_imported_whole_where_models_are_served(room: str) -> None:
    assert all(importlib.import_module(name) for name in modules_of(room))


def test_every_room_has_an_environment() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(hearth.__path__)} - {"__main__"}

    assert rooms == {*EVERYWHERE, *AIRFLOW, *SERVE}
