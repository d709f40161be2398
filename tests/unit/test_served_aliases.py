"""Which models a sender can ask, as a registry tells that goes away and comes back."""

import logging

import pytest

from hearth.streaming.producer.served_aliases import ServedAliases
from tests.support.models import FakeRegistry


def test_an_alias_is_there_once_a_version_carries_it() -> None:
    shelf = FakeRegistry(knn="1")
    carried = ServedAliases(shelf, ["employees", "heart"], 60)
    assert ("employees", "knn") not in carried, "nobody has asked yet"

    carried.poll()
    shelf.carried["champion"] = "1"

    assert ("employees", "knn") in carried
    assert ("employees", "champion") not in carried
    assert ("heart", "knn") not in carried
    carried.poll()
    assert ("employees", "champion") in carried


def test_while_the_registry_is_away_what_it_said_last_counts_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shelf = FakeRegistry(knn="1")
    carried = ServedAliases(shelf, ["employees"], 60)
    carried.poll()

    shelf.away = True
    carried.poll()
    carried.poll()

    assert ("employees", "knn") in carried
    assert caplog.messages == ["trained models: employees@knn", "the registry cannot tell which models exist: MLflow does not answer."]
    shelf.away, shelf.carried = False, {}
    carried.poll()
    assert ("employees", "knn") not in carried
