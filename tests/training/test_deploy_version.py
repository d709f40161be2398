"""A version that has passed the gate: champion at once, challenger, or a candidate with a share. On real servers."""

from collections.abc import Iterator

import pytest

from hearth.contracts import Contract
from hearth.contracts.deploy_words import Way
from hearth.errors import InvalidSettings
from hearth.jobs.deploy_version import Deployment, carried_alias, deploy
from hearth.jobs.promote import promote
from hearth.predictions.migration import migrate
from hearth.predictions.rollout_store import RolloutStore
from hearth.registry import Registry, Traffic
from hearth.rollouts import moves
from hearth.rollouts.start import stop_rollout
from hearth.storage import ObjectStore
from tests.training.test_train_pipeline import GOOD, POOR, Shop


@pytest.fixture
def contract(employees_renamed: Contract) -> Contract:
    return employees_renamed


@pytest.fixture
def shop(contract: Contract, store: ObjectStore, registry: Registry) -> Shop:
    return Shop(contract, store, registry)


@pytest.fixture
def rollouts(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RolloutStore]:
    migrate(fresh_database)
    monkeypatch.setenv("HEARTH_MONITOR_URL", fresh_database)
    with RolloutStore(fresh_database, max_connections=1) as store:
        yield store


def deployed(shop: Shop, version: str, way: Way | None) -> Deployment:
    return deploy(shop.contract.name, "knn", version, way=way, started_by="a test", registry=shop.registry)


class TestWays:
    def test_the_first_version_is_champion_whatever_the_way_and_directly_is_what_a_contract_says_by_default(self, shop: Shop) -> None:
        first, second = shop.register(params=POOR), shop.register()

        assert deployed(shop, first, "canary").way == "direct"
        assert deployed(shop, second, None).way == "direct"
        assert shop.aliases() == {"knn": second, "champion": second, "previous": first}
        assert deployed(shop, second, None).reason == f"version {second} is the champion already"

    def test_in_shadow_it_answers_nobody(self, shop: Shop) -> None:
        first, second = shop.register(params=POOR), shop.register()
        deployed(shop, first, "direct")

        assert deployed(shop, second, "shadow").way == "shadow"
        assert shop.aliases() == {"knn": first, "champion": first, "challenger": second}

    def test_a_canary_gets_its_alias_and_the_first_share_and_once_only(self, shop: Shop, rollouts: RolloutStore) -> None:
        name = shop.contract.name
        first, second, third = shop.register(params=POOR), shop.register(), shop.register()
        deployed(shop, first, "direct")

        done = [deployed(shop, second, "canary") for _ in range(2)]

        assert done[0] == done[1]
        running = rollouts.running(name)
        assert running is not None
        assert (running.version, running.champion, running.share, running.started_by) == (second, first, 0.05, "a test")
        model = shop.registry.registered_model(name)
        assert model.aliases == {"knn": first, "champion": first, "canary": second, "challenger": second}
        assert model.traffic == Traffic(rollout=done[0].rollout, version=second, champion=first, share=0.05)
        refused = deployed(shop, third, "canary")
        assert (refused.way, refused.rollout) == ("", "")
        assert f"A rollout of {name!r} runs: version {second}" in refused.reason

    @pytest.mark.usefixtures("rollouts")
    def test_what_a_killed_task_has_not_moved_is_moved_by_the_next(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        name = shop.contract.name
        first, second = shop.register(params=POOR), shop.register()
        deployed(shop, first, "direct")

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as broken:
            broken.setattr(Registry, "set_traffic", killed)
            with pytest.raises(KeyboardInterrupt):
                deployed(shop, second, "canary")
        assert shop.registry.registered_model(name).traffic is None

        assert deployed(shop, second, "canary").way == "canary"
        assert shop.registry.registered_model(name).traffic is not None

    def test_without_a_store_of_rollouts_the_error_says_what_to_set(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        first, second = shop.register(params=POOR), shop.register()
        deployed(shop, first, "direct")
        monkeypatch.setenv("HEARTH_MONITOR_URL", "")
        monkeypatch.delenv("HEARTH_MONITOR_URL")
        monkeypatch.chdir("/")  # no .env

        with pytest.raises(InvalidSettings, match="A canary needs the predictions store, or deploy directly"):
            deployed(shop, second, "canary")


class TestPromotion:
    @pytest.mark.usefixtures("rollouts")
    def test_the_version_that_would_be_champion_is_a_candidate_and_keeps_off_its_familys_alias(self, shop: Shop) -> None:
        name = shop.contract.name
        first, second = shop.register(params=POOR), shop.register(params=GOOD)
        for version in (first, second):
            decision = promote(name, "knn", version, way="canary", store=shop.store, registry=shop.registry)

        assert decision.passed
        assert decision.champion == first
        assert f"version {second} answers 5% of the champion's requests" in decision.reasons[-1]
        assert shop.aliases() == {"knn": first, "champion": first, "canary": second, "challenger": second}
        assert carried_alias(name, "knn", second, shop.registry) == "canary"

    def test_one_that_was_rolled_back_is_not_tried_again_by_a_training(self, shop: Shop, rollouts: RolloutStore) -> None:
        name = shop.contract.name
        first, second = shop.register(params=POOR), shop.register(params=GOOD)
        for version in (first, second):
            promote(name, "knn", version, way="canary", store=shop.store, registry=shop.registry)
        ended = stop_rollout(rollouts, shop.registry, name, "ada")
        moves.release(shop.registry, ended, shop.registry.registered_model(name))
        moves.record(shop.registry, ended, "rolled_back", "stopped by ada")

        promote(name, "knn", second, way="canary", store=shop.store, registry=shop.registry)

        assert shop.aliases() == {"knn": first, "champion": first}
        assert shop.registry.registered_model(name).traffic is None
        assert "rolled_back: stopped by ada" in deployed(shop, second, "canary").reason
