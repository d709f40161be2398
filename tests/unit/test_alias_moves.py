"""Moving aliases on a condition: the order of the moves, and what a crash or another process leaves."""

import pytest

from hearth.errors import AliasNotMoved, RegistryUnavailable
from hearth.registry import move_aliases, promotion, rollback
from tests.support.models import FakeRegistry

DATASET = "employees"


def move(registry: FakeRegistry, moves: dict[str, str]) -> bool:
    return move_aliases(registry, DATASET, moves, registry.aliases(DATASET))


def test_a_champion_that_is_replaced_becomes_previous_before_the_new_one_takes_its_place() -> None:
    assert list(promotion("champion", "4", {"champion": "2", "previous": "1"}).items()) == [("previous", "2"), ("champion", "4")]


@pytest.mark.parametrize(("alias", "aliases"), [("champion", {}), ("champion", {"champion": "4"}), ("knn", {"champion": "2"})])
def test_any_other_promotion_is_one_move(alias: str, aliases: dict[str, str]) -> None:
    assert promotion(alias, "4", aliases) == {alias: "4"}


def test_a_rollback_serves_the_previous_champion_first() -> None:
    assert list(rollback("2", "1").items()) == [("champion", "1"), ("previous", "2")]


@pytest.mark.parametrize(("moves", "left"), [(promotion("champion", "4", {"champion": "2"}), "2"), (rollback("2", "1"), "1")])
def test_a_crash_between_two_moves_leaves_both_aliases_on_a_version_that_was_champion(moves: dict[str, str], left: str) -> None:
    class Failing(FakeRegistry):
        def set_alias(self, dataset: str, alias: str, version: str) -> None:
            if alias == list(moves)[1]:
                raise RegistryUnavailable("MLflow does not answer")
            super().set_alias(dataset, alias, version)

    registry = Failing(champion="2", previous="1")

    with pytest.raises(RegistryUnavailable):
        move(registry, moves)
    assert registry.carried == {"champion": left, "previous": left}


def test_nothing_is_moved_or_recorded_if_an_alias_was_moved_meanwhile() -> None:
    registry, recorded = FakeRegistry(champion="2"), []

    with pytest.raises(AliasNotMoved, match="meanwhile"):
        move_aliases(registry, DATASET, {"champion": "4"}, {"champion": "1"}, lambda: recorded.append(1))
    assert (registry.carried, recorded) == ({"champion": "2"}, [])


def test_a_move_that_cannot_be_recorded_is_not_made() -> None:
    def refuse() -> None:
        raise RegistryUnavailable("MLflow does not answer")

    registry = FakeRegistry(champion="2")

    with pytest.raises(RegistryUnavailable):
        move_aliases(registry, DATASET, {"champion": "4"}, {"champion": "2"}, refuse)
    assert registry.carried == {"champion": "2"}


def test_what_an_alias_has_already_is_neither_moved_nor_recorded() -> None:
    registry, recorded = FakeRegistry(champion="2"), []

    assert not move_aliases(registry, DATASET, {"champion": "2"}, {"champion": "2"}, lambda: recorded.append(1))
    assert recorded == []
