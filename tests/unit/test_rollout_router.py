"""A candidate answers a share of the champion's requests: the same callers always, and nobody's request fails because of it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.registry import Traffic
from hearth.serving.include import NOTHING, Include
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_follower import ModelFollower
from hearth.serving.rollouts.counter import RolloutCounter
from hearth.serving.rollouts.router import Router, position, request_key
from tests.support.contracts import good_record
from tests.support.fake_registry import FakeRegistry
from tests.support.samples import EMPLOYEES

if TYPE_CHECKING:
    from hearth.modelling.trust import Trust

TRAFFIC = Traffic(rollout="r1", version="2", champion="1", share=0.25)
KEYS = [f"customer {number}" for number in range(4_000)]


class Always:
    def __init__(self, code: int) -> None:
        self.code = code

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        return np.tile(np.eye(3)[self.code], (len(frame), 1))


class Failing(Always):
    """One that scores while it is loaded, and fails later."""

    broken = False

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        if self.broken:
            raise ZeroDivisionError
        return super().predict_proba(frame)


class Nonsense(Failing):
    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        return np.full((len(frame), 3), np.nan) if self.broken else Always.predict_proba(self, frame)


@pytest.fixture
def registry() -> FakeRegistry:
    registry = FakeRegistry(knn="1", champion="1", canary="2")
    registry.models = {"1": Always(0), "2": Always(1), "3": Always(2)}
    registry.traffic = TRAFFIC
    return registry


@pytest.fixture
def models(registry: FakeRegistry) -> ModelFollower:
    models = ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=60)
    models.poll()
    return models


def versions(router: Router, alias: str = "champion") -> list[str]:
    return [router.route("employees", alias, lambda key=key: key).version for key in KEYS]  # type: ignore[misc]  # the default is its key


class TestShares:
    def test_the_candidate_answers_its_share_under_the_alias_that_was_asked_for(self, models: ModelFollower) -> None:
        chosen = versions(Router(models))

        assert chosen.count("2") / len(chosen) == pytest.approx(0.25, abs=0.02)
        candidate = Router(models).route("employees", "champion", lambda: KEYS[chosen.index("2")])
        assert (candidate.alias, candidate.rollout, candidate.fallback) == ("champion", "r1", models.get("employees", "champion"))

    @pytest.mark.parametrize("alias", ["knn", "canary"])
    def test_who_asks_for_another_alias_gets_its_version(self, models: ModelFollower, alias: str) -> None:
        assert len(set(versions(Router(models), alias))) == 1

    def test_a_larger_share_takes_nobody_back(self, models: ModelFollower, registry: FakeRegistry) -> None:
        before = versions(Router(models))
        registry.traffic = TRAFFIC.model_copy(update={"share": 0.5})
        models.poll()
        after = versions(Router(models))

        assert all(new == "2" for old, new in zip(before, after, strict=True) if old == "2")
        assert after.count("2") / len(after) == pytest.approx(0.5, abs=0.03)

    def test_another_rollout_tries_others(self) -> None:
        both = [position("r1", key) < 0.25 and position("r2", key) < 0.25 for key in KEYS]

        assert sum(both) / len(both) == pytest.approx(0.0625, abs=0.015)

    @given(st.text(), st.text(min_size=1, max_size=30))
    def test_every_key_has_a_place(self, key: str, rollout: str) -> None:
        assert 0 <= position(rollout, key) < 1

    def test_the_callers_key_decides_else_the_callers_id_else_the_requests_own(self) -> None:
        assert request_key("ada", "mine.0a1b2c3d4e5f") == "ada"
        assert request_key("", "mine.0a1b2c3d4e5f") == "mine"
        assert request_key("", "0a1b2c") == "0a1b2c"


class TestWhoAnswers:
    @pytest.mark.parametrize(
        "traffic",
        [
            None,
            TRAFFIC.model_copy(update={"share": 0.0}),
            TRAFFIC.model_copy(update={"version": "3"}),  # not the one that carries the alias
            TRAFFIC.model_copy(update={"champion": "3"}),  # another became champion meanwhile
        ],
    )
    def test_without_a_share_for_just_these_two_the_champion_answers_all(
        self, models: ModelFollower, registry: FakeRegistry, traffic: Traffic | None
    ) -> None:
        registry.traffic = traffic
        models.poll()

        assert set(versions(Router(models))) == {"1"}

    def test_a_candidate_that_cannot_be_loaded_answers_nothing_and_the_process_says_why(self, registry: FakeRegistry) -> None:
        registry.models["2"] = Failing(1)
        cast("Failing", registry.models["2"]).broken = True
        models = ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=60)
        models.poll()

        assert set(versions(Router(models))) == {"1"}
        assert "cannot be served (ZeroDivisionError" in models.refusal("employees", "2")

    def test_while_the_registry_is_away_the_last_share_holds(self, models: ModelFollower, registry: FakeRegistry) -> None:
        before = versions(Router(models))
        registry.away, registry.traffic = True, None
        models.poll()

        assert versions(Router(models)) == before

    def test_one_that_lacks_what_is_asked_for_leaves_it_to_the_champion(self, models: ModelFollower) -> None:
        split = models.split("employees")
        assert split
        with_sets = replace(split.champion, trust=cast("Trust", SimpleNamespace(sets=1)))
        lacking = SimpleNamespace(
            get=models.get,
            split=lambda _: replace(split, share=1.0, champion=with_sets),
        )
        router = Router(cast("ModelFollower", lacking))

        assert router.route("employees", "champion", lambda: "x", NOTHING).version == "2"
        assert router.route("employees", "champion", lambda: "x", Include(set=True)).version == "1"
        assert router.route("employees", "champion", lambda: "x", None).version == "1"


class TestFailures:
    def failing(self, registry: FakeRegistry, kind: type[Failing]) -> tuple[ModelFollower, LoadedModel, Failing]:
        pipeline = registry.models["2"] = kind(1)
        models = ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=60)
        models.poll()
        split = models.split("employees")
        assert split
        pipeline.broken = True
        return models, split.candidate, pipeline

    @pytest.mark.parametrize("kind", [Failing, Nonsense])
    def test_where_it_fails_the_champion_answers_and_the_error_is_the_candidates(
        self, registry: FakeRegistry, kind: type[Failing], caplog: pytest.LogCaptureFixture
    ) -> None:
        models, candidate, _ = self.failing(registry, kind)
        counter = RolloutCounter.of({"employees": EMPLOYEES})
        router = Router(models, counter)
        rows = models.get("employees", "champion").scorer.parser.parse([good_record(EMPLOYEES)] * 2)

        answers = [router.score(candidate, rows) for _ in range(2)]

        assert {model.version for model, _ in answers} == {"1"}
        assert answers[0][1].codes.tolist() == [0, 0]
        counts = counter.counts("r1")
        assert (counts["2"].answers, counts["2"].errors) == (2, 2)
        assert (counts["1"].answers, counts["1"].errors) == (2, 0)
        assert [record.message for record in caplog.records].count("employees: the candidate, version 2, fails; the champion answers") == 1

    def test_one_that_fails_too_often_here_gets_no_more_requests_here(self, registry: FakeRegistry) -> None:
        models, candidate, pipeline = self.failing(registry, Failing)
        router = Router(models, RolloutCounter.of({"employees": EMPLOYEES}))
        rows = models.get("employees", "champion").scorer.parser.parse([good_record(EMPLOYEES)])
        assert "2" in versions(router)

        for _ in range(5):
            router.score(candidate, rows)
        pipeline.broken = False

        assert set(versions(router)) == {"1"}

    def test_what_the_champion_fails_at_is_an_error_as_always(self, registry: FakeRegistry) -> None:
        champion = registry.models["1"] = Failing(0)
        models = ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=60)
        models.poll()
        rows = models.get("employees", "champion").scorer.parser.parse([good_record(EMPLOYEES)])
        champion.broken = True
        counter = RolloutCounter.of({"employees": EMPLOYEES})

        with pytest.raises(ZeroDivisionError):
            Router(models, counter).score(models.get("employees", "champion"), rows)

        assert counter.counts("r1")["1"].errors == 1

    def test_without_a_rollout_nothing_is_counted(self, models: ModelFollower, registry: FakeRegistry) -> None:
        registry.traffic = None
        models.poll()
        counter = RolloutCounter.of({"employees": EMPLOYEES})
        rows = models.get("employees", "champion").scorer.parser.parse([good_record(EMPLOYEES)])

        Router(models, counter).score(models.get("employees", "champion"), rows)

        assert counter.all_counts() == {}
