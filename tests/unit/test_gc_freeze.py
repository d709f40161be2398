"""What stays is not looked through for garbage again and again."""

import gc
from collections.abc import Iterator

import pytest

from hearth.serving.gc_freeze import freeze_after_import, freeze_now


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.collect()


class Ring:
    """Only the collector can find that nobody holds it."""

    left = 0

    def __init__(self) -> None:
        self.itself = self
        Ring.left += 1

    def __del__(self) -> None:
        Ring.left -= 1


def test_nothing_is_looked_for_meanwhile_and_what_is_made_then_is_left_alone_for_good() -> None:
    with freeze_after_import():
        assert not gc.isenabled()
        stays = [Ring()]
    assert gc.isenabled()

    assert not any(found is stays for found in gc.get_objects())


def test_what_is_made_later_is_found() -> None:
    with freeze_after_import():
        pass
    before = Ring.left
    Ring()

    gc.collect()

    assert Ring.left == before


def test_what_is_there_when_a_process_is_ready_is_left_alone_and_its_garbage_is_not_kept() -> None:
    before = Ring.left
    stays = [Ring()]
    Ring()

    freeze_now()

    assert Ring.left == before + 1
    assert not any(found is stays for found in gc.get_objects())


def test_a_start_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), freeze_after_import():
        raise ImportError

    assert gc.isenabled()
