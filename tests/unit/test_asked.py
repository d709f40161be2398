"""Which models a sender can ask, as a registry tells that goes away and comes back."""

import logging

import pytest

from hearth.errors import RegistryUnavailable
from hearth.streaming.asked import CarriedAliases
from tests.models import Shelf


class Leaving(Shelf):
    away = False

    def aliases(self, dataset: str) -> dict[str, str]:
        if self.away:
            raise RegistryUnavailable("MLflow does not answer.")
        return super().aliases(dataset)


def test_an_alias_is_there_once_a_version_carries_it() -> None:
    shelf = Leaving(knn="1")
    carried = CarriedAliases(shelf, ["employees", "heart"], 60)
    assert ("employees", "knn") not in carried, "nobody has asked yet"

    carried.look()
    shelf.carried["champion"] = "1"

    assert ("employees", "knn") in carried
    assert ("employees", "champion") not in carried
    assert ("heart", "knn") not in carried
    carried.look()
    assert ("employees", "champion") in carried


def test_while_the_registry_is_away_what_it_said_last_counts_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shelf = Leaving(knn="1")
    carried = CarriedAliases(shelf, ["employees"], 60)
    carried.look()

    shelf.away = True
    carried.look()
    carried.look()

    assert ("employees", "knn") in carried
    assert caplog.messages == ["trained models: employees@knn", "which models there are is not known: MLflow does not answer."]
    shelf.away, shelf.carried = False, {}
    carried.look()
    assert ("employees", "knn") not in carried
