"""Rollouts on a real database: what is counted, decided and moved, and what a kill at any point leaves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hearth.contracts import Contract
from hearth.contracts.deploy_words import Deploy
from hearth.errors import AliasNotMoved, NoRollout, PredictionsUnavailable, RefusedModel, RegistryUnavailable, RolloutRunning
from hearth.predictions.migration import migrate
from hearth.predictions.rollout_store import Change, Rollout, RolloutStore, VersionCounts
from hearth.registry import RegisteredModel, Traffic
from hearth.rollouts.counts import Counts, bucket_of
from hearth.rollouts.start import pause_rollout, start_rollout, stop_rollout
from hearth.serving.model_follower import ModelFollower
from hearth.serving.rollouts.controller import RolloutController
from hearth.serving.rollouts.counter import RolloutCounter
from hearth.serving.rollouts.reporter import RolloutReporter
from tests.support.fake_registry import FakeRegistry
from tests.support.samples import EMPLOYEES

CONTRACT = EMPLOYEES.model_copy(update={"deploy": Deploy(way="canary", answers=100, minutes=0, steps=(0.1, 1.0))})
LATER = timedelta(seconds=1)


@pytest.fixture
def store(fresh_database: str) -> Iterator[RolloutStore]:
    migrate(fresh_database)
    with RolloutStore(fresh_database, max_connections=3) as store:
        yield store


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry(knn="1", champion="1")


@pytest.fixture
def controller(store: RolloutStore, registry: FakeRegistry) -> RolloutController:
    return RolloutController(store, registry, {"employees": CONTRACT})


def start(store: RolloutStore, registry: FakeRegistry, version: str = "2") -> Rollout:
    return start_rollout(CONTRACT, version, "ada", store=store, registry=registry, family="knn")


def count(  # noqa: PLR0913, PLR0917 - what a version did
    store: RolloutStore, rollout: Rollout, version: str, answers: int, errors: int = 0, seconds: float = 0.001, problem: str = ""
) -> None:
    counts = Counts(answers, errors)
    counts.latencies[bucket_of(seconds)] = answers
    store.write_counts([VersionCounts(rollout.id, "p", version, answers, errors, counts.latencies, problem, datetime.now(UTC))])


def look(controller: RolloutController) -> None:
    controller.look(datetime.now(UTC) + LATER)


def shown(registry: FakeRegistry) -> Traffic | None:
    return registry.registered_model("employees").traffic


def events(store: RolloutStore, rollout: Rollout) -> list[tuple[str, float]]:
    return [(event.event, event.share) for event in store.events([rollout.id])]


class TestForward:
    def test_a_good_one_goes_step_by_step_and_becomes_champion(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        rollout = start(store, registry)
        assert registry.carried == {"knn": "1", "champion": "1", "canary": "2", "challenger": "2"}
        count(store, rollout, "1", 900)
        count(store, rollout, "2", 100)
        look(controller)
        assert shown(registry) == Traffic(rollout=rollout.id, version="2", champion="1", share=1.0)
        look(controller)  # 100 more are needed at this step
        assert controller.statuses()[0].candidate.answers == 100
        count(store, rollout, "2", 200)
        look(controller)

        assert registry.carried == {"knn": "2", "champion": "2", "previous": "1"}
        assert shown(registry) is None
        assert store.running("employees") is None
        ended = store.rollout(rollout.id)
        assert ended is not None
        assert (ended.state, ended.reason) == ("finished", "100 answers at this step, 0 errors in all")
        assert events(store, rollout) == [("started", 0.1), ("stepped", 1.0), ("passed", 1.0), ("finished", 1.0)]
        assert registry.tags["2"]["hearth.rollout"].startswith("finished")

    def test_a_challenger_of_somebody_else_keeps_its_alias(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        registry.carried["challenger"] = "9"
        start(store, registry)
        stop_rollout(store, registry, "employees", "ada")
        look(controller)

        assert registry.carried == {"knn": "1", "champion": "1", "challenger": "9"}


class TestBack:
    def test_a_failing_one_is_rolled_back_with_its_reason(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        ended: list[Rollout] = []
        controller = RolloutController(store, registry, {"employees": CONTRACT}, on_end=ended.append)
        rollout = start(store, registry)
        count(store, rollout, "1", 900)
        count(store, rollout, "2", 60, errors=6)
        look(controller)

        assert registry.carried == {"knn": "1", "champion": "1"}
        assert registry.traffic is None
        reason = "6 of 60 answers failed (10.00%), more than 0.50%; of the champion's 900, 0"
        assert [(each.state, each.reason) for each in ended] == [("rolled_back", reason)]
        assert registry.tags["2"]["hearth.rollout"] == f"rolled_back: {reason}"
        assert events(store, rollout) == [("started", 0.1), ("failed", 0.1), ("rolled_back", 0.1)]
        # The look that decides it also ends it: a scrape never finds the state rolling_back, so the alert goes by what has ended
        assert [(each.version, each.state) for each in controller.ended()] == [("2", "rolled_back")]

    def test_one_that_a_process_refuses_to_load_goes_at_once(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        rollout = start(store, registry)
        count(store, rollout, "2", 0, problem="models:/employees/2 predicts other probabilities than when it was saved.")
        look(controller)

        assert registry.tags["2"]["hearth.rollout"].endswith("predicts other probabilities than when it was saved.")

    def test_a_person_stops_it_and_its_share_goes_before_the_controller_looks(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        start(store, registry)
        stopped = stop_rollout(store, registry, "employees", "ada")

        assert (stopped.state, registry.traffic) == ("rolling_back", None)
        look(controller)
        assert store.running("employees") is None
        with pytest.raises(NoRollout, match="No rollout of 'employees' runs"):
            stop_rollout(store, registry, "employees", "ada")


class TestOthers:
    def test_a_second_one_is_refused_and_the_same_again_is_the_one_that_runs(self, store: RolloutStore, registry: FakeRegistry) -> None:
        rollout = start(store, registry)

        assert start(store, registry) == rollout
        with pytest.raises(RolloutRunning, match=f"A rollout of 'employees' runs: version 2, {rollout.id}"):
            start(store, registry, "3")
        assert registry.carried["canary"] == "2"

    @pytest.mark.parametrize(("champion", "state"), [("3", "cancelled"), ("2", "finished")])
    def test_a_promotion_meanwhile_ends_it(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController, champion: str, state: str
    ) -> None:
        rollout = start(store, registry)
        registry.carried |= {"previous": "1", "champion": champion}
        look(controller)

        ended = store.rollout(rollout.id)
        assert ended is not None
        assert ended.state == state
        assert registry.traffic is None
        assert {"canary", "challenger"}.isdisjoint(registry.carried)
        assert registry.carried["champion"] == champion

    @pytest.mark.parametrize("state", ["running", "finishing"])
    def test_a_candidate_that_is_deleted_ends_it(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController, state: str
    ) -> None:
        rollout = start(store, registry)
        store.change(rollout, Change("passed", state, rollout.share, ""))
        registry.deleted.add("2")
        registry.carried = {"knn": "1", "champion": "1"}
        look(controller)

        ended = store.rollout(rollout.id)
        assert ended is not None
        assert (ended.state, ended.reason) == ("cancelled", "version 2 was deleted meanwhile")
        assert (registry.traffic, registry.carried) == (None, {"knn": "1", "champion": "1"})

    def test_one_that_a_person_promotes_while_it_is_rolled_back_is_champion_and_not_marked_as_rolled_back(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        rollout = start(store, registry)
        stop_rollout(store, registry, "employees", "ada")
        registry.carried |= {"previous": "1", "champion": "2"}
        look(controller)

        ended = store.rollout(rollout.id)
        assert ended is not None
        assert ended.state == "finished"
        assert registry.tags["2"]["hearth.rollout"] == "finished: it became champion meanwhile"

    def test_one_that_becomes_champion_can_neither_be_stopped_nor_paused_unnoticed(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        rollout = start(store, registry)
        store.change(rollout, Change("passed", "finishing", rollout.share, ""))

        with pytest.raises(AliasNotMoved, match="has passed its last step: version 2 becomes champion"):
            stop_rollout(store, registry, "employees", "ada")
        with pytest.raises(AliasNotMoved, match="is finishing"):
            pause_rollout(store, "employees", "ada")
        look(controller)
        assert registry.carried["champion"] == "2"

    def test_a_paused_one_does_not_step_until_it_is_resumed(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        rollout = start(store, registry)
        pause_rollout(store, "employees", "ada")
        count(store, rollout, "2", 500)
        look(controller)
        assert registry.traffic
        assert registry.traffic.share == 0.1

        pause_rollout(store, "employees", "ada", resume=True)
        look(controller)
        assert registry.traffic.share == 1.0

    @pytest.mark.parametrize("version", ["1"])
    def test_the_champion_is_no_candidate(self, store: RolloutStore, registry: FakeRegistry, version: str) -> None:
        with pytest.raises(AliasNotMoved, match="is the champion already"):
            start(store, registry, version)
        del registry.carried["champion"]
        with pytest.raises(AliasNotMoved, match="has no champion"):
            start(store, registry, "2")

    def test_of_two_controllers_one_acts(self, store: RolloutStore, registry: FakeRegistry, fresh_database: str) -> None:
        rollout = start(store, registry)
        count(store, rollout, "2", 100)
        with RolloutStore(fresh_database) as other, other.alone() as first:
            assert first
            look(RolloutController(store, registry, {"employees": CONTRACT}))
        assert events(store, rollout) == [("started", 0.1)]

        look(RolloutController(store, registry, {"employees": CONTRACT}))
        assert events(store, rollout)[-1] == ("stepped", 1.0)


class Killed(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


MOVES = ("set_alias", "delete_alias", "set_traffic", "annotate")


@pytest.mark.parametrize("ending", ["finish", "roll back"])
@pytest.mark.parametrize("after", range(8))
def test_a_controller_that_is_killed_between_any_two_moves_leaves_a_champion_and_the_next_one_ends_it(
    store: RolloutStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, ending: str, after: int
) -> None:
    rollout = start(store, registry)
    count(store, rollout, "1", 1_000)
    count(store, rollout, "2", 100 if ending == "finish" else 50, errors=0 if ending == "finish" else 10)
    contract = CONTRACT.model_copy(update={"deploy": CONTRACT.deploy.model_copy(update={"steps": (0.1,)})})
    store.change(rollout, one_step(rollout))
    moves = 0

    def killing(name: str) -> object:
        move = getattr(FakeRegistry, name)

        def counted(*arguments: object) -> None:
            nonlocal moves
            moves += 1
            if moves > after:
                raise Killed
            move(*arguments)

        return counted

    with monkeypatch.context() as patched:
        for name in MOVES:
            patched.setattr(FakeRegistry, name, killing(name))
        try:
            look(RolloutController(store, registry, {"employees": contract}))
        except Killed:
            assert registry.carried["champion"] in {"1", "2"}
            if ending == "roll back":
                assert registry.carried["champion"] == "1"

    for _ in range(2):
        look(RolloutController(store, registry, {"employees": contract}))

    assert registry.traffic is None
    expected = {"knn": "2", "champion": "2", "previous": "1"} if ending == "finish" else {"knn": "1", "champion": "1"}
    assert registry.carried == expected
    ended = store.rollout(rollout.id)
    assert ended is not None
    assert ended.state == ("finished" if ending == "finish" else "rolled_back")


def one_step(rollout: Rollout) -> Change:
    return Change("note", rollout.state, rollout.share, "", {"steps": [0.1]})


def test_who_is_told_of_a_rollback_is_told_though_the_controller_is_killed_at_its_end(
    store: RolloutStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    rollout = start(store, registry)
    count(store, rollout, "2", 60, errors=6)
    killed = RolloutStore.change

    def killing(self: RolloutStore, rollout: Rollout, change: Change) -> bool:
        changed = killed(self, rollout, change)
        if change.state == "rolled_back":
            raise Killed
        return changed

    def controller() -> RolloutController:
        return RolloutController(store, registry, {"employees": CONTRACT}, on_end=lambda rollout: ended.append(rollout.state))

    with monkeypatch.context() as patched:
        patched.setattr(RolloutStore, "change", killing)
        with pytest.raises(Killed):
            look(controller())
    look(controller())

    assert store.running("employees") is None
    assert ended == ["rolled_back"]


class TestOutages:
    def test_one_that_fails_keeps_nobody_from_rolling_back_another(
        self, store: RolloutStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = EMPLOYEES.model_copy(update={"name": "earlier", "deploy": CONTRACT.deploy})
        monkeypatch.setattr(FakeRegistry, "dataset", "earlier")
        start_rollout(other, "2", "ada", store=store, registry=registry)
        monkeypatch.setattr(FakeRegistry, "dataset", "employees")
        registry.carried = {"champion": "1"}
        rollout = start(store, registry)
        count(store, rollout, "2", 60, errors=6)

        def estimate(contract: Contract, _: Rollout) -> None:
            if contract is other:
                raise ZeroDivisionError

        monkeypatch.setattr(FakeRegistry, "registered_model", lambda self, _: RegisteredModel(self.carried, self.made, self.traffic))
        monkeypatch.setattr(FakeRegistry, "set_traffic", lambda _, dataset, __: dataset)
        look(RolloutController(store, registry, {"earlier": other, "employees": CONTRACT}, estimate=estimate))

        assert store.running("earlier")
        assert store.running("employees") is None

    def test_while_the_store_is_away_nothing_moves(self, store: RolloutStore, registry: FakeRegistry) -> None:
        start(store, registry)
        with RolloutStore("postgresql://nobody@127.0.0.1:9/none", connect_seconds=2) as away, pytest.raises(PredictionsUnavailable):
            RolloutController(away, registry, {"employees": CONTRACT}).look()

        assert registry.traffic
        assert registry.traffic.share == 0.1

    def test_while_the_registry_is_away_the_decision_is_kept_and_followed_later(
        self, store: RolloutStore, registry: FakeRegistry, controller: RolloutController
    ) -> None:
        rollout = start(store, registry)
        count(store, rollout, "2", 60, errors=6)
        registry.away = True
        look(controller)
        assert store.running("employees") == rollout
        with pytest.raises(RegistryUnavailable):
            stop_rollout(store, registry, "employees", "ada")
        registry.away = False
        look(controller)

        assert (registry.traffic, store.running("employees")) == (None, None)


class TestCounts:
    def test_a_process_writes_what_it_counted_over_what_it_wrote_before(self, store: RolloutStore, registry: FakeRegistry) -> None:
        rollout = start(store, registry)
        models = ModelFollower(registry, {"employees": CONTRACT}, poll_seconds=60)
        models.poll()
        counter = RolloutCounter.of({"employees": CONTRACT})
        reporter = RolloutReporter(store, counter, models, {"employees": CONTRACT})
        split = models.split("employees")
        assert split
        for _ in range(2):
            counter.add(rollout.id, split.candidate, 0.001, records=1)
            reporter.report()
        reporter.report()
        counter.add("a rollout that nobody knows", split.candidate, 0.001, records=1)
        reporter.report()

        [counts] = store.counts([rollout.id])
        assert (counts.version, counts.answers, counts.errors, sum(counts.latencies)) == ("2", 2, 0, 2)

    def test_a_process_that_refuses_the_candidate_says_why(self, store: RolloutStore, registry: FakeRegistry) -> None:
        rollout = start(store, registry)
        registry.broken["2"] = RefusedModel("models:/employees/2 predicts other probabilities than when it was saved.")
        models = ModelFollower(registry, {"employees": CONTRACT}, poll_seconds=60)
        models.poll()
        RolloutReporter(store, RolloutCounter.of({"employees": CONTRACT}), models, {"employees": CONTRACT}).report()

        [counts] = store.counts([rollout.id])
        assert counts.problem == "models:/employees/2 predicts other probabilities than when it was saved."
