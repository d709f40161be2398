"""The order in which a starting process loads models, and when it counts as started."""

import threading
from collections.abc import Iterable
from dataclasses import replace

import pytest

from hearth.contracts import Contract
from hearth.errors import RefusedModel, RegistryError
from hearth.registry import RegisteredModel, RegisteredVersion, StoredModel
from hearth.serving.alias_view import AliasView
from hearth.serving.model_follower import ModelFollower
from hearth.serving.version_loads import plan_loads, run_loads
from tests.support.fake_registry import FakeRegistry
from tests.support.samples import EMPLOYEES
from tests.support.waiting import wait_until

NAMES = ("employees", "accounts", "boats", "cars", "dogs")
CONTRACTS: dict[str, Contract] = {name: EMPLOYEES.model_copy(update={"name": name}) for name in NAMES}


class Shelves(FakeRegistry):
    """The same aliases for each data set; it remembers what was loaded and how often it was asked for one or several."""

    def __init__(self, **carried: str) -> None:
        super().__init__(**carried)
        self.loaded: list[tuple[str, str]] = []
        self.single: list[str] = []
        self.several: list[list[str]] = []
        self.refused_datasets: dict[str, Exception] = {}
        self.broken_answer: Exception | None = None

    def registered_model(self, dataset: str) -> RegisteredModel:
        self.single.append(dataset)
        self._answer()
        return RegisteredModel(dict(self.carried), self.made)

    def registered_models(self, datasets: Iterable[str]) -> dict[str, RegisteredModel]:
        names = list(datasets)
        self.several.append(names)
        self._answer()
        if self.broken_answer:
            raise self.broken_answer
        return {name: RegisteredModel(dict(self.carried), self.made) for name in names}

    def load_with_example(self, version: RegisteredVersion) -> StoredModel:
        self.loaded.append((version.dataset, version.version))
        if version.dataset in self.refused_datasets:
            raise self.refused_datasets[version.dataset]
        return super().load_with_example(replace(version, dataset="employees"))


@pytest.fixture
def shelves() -> Shelves:
    return Shelves(knn="1", champion="2", challenger="1")


@pytest.fixture
def models(shelves: Shelves) -> ModelFollower:
    return ModelFollower(shelves, CONTRACTS, poll_seconds=60)


class TestOrder:
    def test_the_first_champion_comes_first_then_the_other_champions_then_the_rest_and_each_version_once(
        self, models: ModelFollower, shelves: Shelves
    ) -> None:
        models.poll()

        assert shelves.loaded[0] == ("employees", "2")
        assert sorted(shelves.loaded[1:5]) == [(name, "2") for name in NAMES[1:]]
        assert sorted(shelves.loaded[5:]) == sorted((name, "1") for name in NAMES)

    def test_the_first_champion_serves_before_the_registry_is_asked_for_other_data_sets(
        self, models: ModelFollower, shelves: Shelves
    ) -> None:
        asked: list[int] = []
        shelves.while_loading = lambda: asked.append(len(shelves.several))

        models.poll()

        assert asked[0] == 0
        assert (shelves.single, shelves.several) == (["employees"], [list(NAMES[1:])])

    def test_many_data_sets_are_read_in_one_request_a_poll_after_the_start(self, models: ModelFollower, shelves: Shelves) -> None:
        models.poll()
        shelves.single.clear()
        shelves.several.clear()
        models.poll()

        assert (shelves.single, shelves.several) == ([], [list(NAMES)])

    def test_where_reading_them_in_one_request_fails_in_a_new_way_they_are_read_one_by_one(
        self, models: ModelFollower, shelves: Shelves, caplog: pytest.LogCaptureFixture
    ) -> None:
        models.poll()
        shelves.single.clear()
        shelves.broken_answer = KeyError("nobody thought of this")
        shelves.carried["champion"] = "3"
        models.poll()

        assert shelves.single == list(NAMES)
        assert [models.get(name, "champion").version for name in NAMES] == ["3"] * len(NAMES)
        assert models.status().problem == ""
        [line] = [record for record in caplog.records if record.levelname == "ERROR"]
        assert line.exc_info is not None
        assert line.exc_info[1] is shelves.broken_answer

    def test_a_data_set_that_serves_waits_for_those_that_do_not(self) -> None:
        served = AliasView(registered={"champion": "2"})
        loads = plan_loads(CONTRACTS, dict.fromkeys(NAMES, served))

        assert [(load.contract.name, load.version, load.aliases) for load in loads] == [(name, "2", ("champion",)) for name in NAMES]

    def test_after_a_stop_no_load_is_begun(self, shelves: Shelves) -> None:
        stop = threading.Event()
        stop.set()
        loads = plan_loads(CONTRACTS, dict.fromkeys(NAMES, AliasView(registered={"knn": "1"})))

        assert list(run_loads(shelves, loads, 2, stop)) == []
        assert shelves.loaded == []


class TestStarted:
    def test_a_process_has_started_when_each_champion_serves_though_other_versions_are_still_loaded(
        self, models: ModelFollower, shelves: Shelves
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        seen: list[tuple[str, ...]] = []

        def while_loading() -> None:
            _, version = shelves.loaded[-1]
            if version == "2":
                seen.append(models.starting())
                return
            begun.set()
            go_on.wait(30)

        shelves.while_loading = while_loading
        with models:
            begun.wait(30)
            assert models.starting() == ()
            assert {alias.serving for alias in models.status().aliases if alias.alias == "champion"} == {"2"}
            assert {alias.serving for alias in models.status().aliases if alias.alias == "knn"} == {None}
            go_on.set()

        assert all(seen)
        assert "employees@champion: version 2 is being loaded." in seen[0]
        assert "cars@champion: the registry has not been asked yet" in seen[0]

    @pytest.mark.parametrize("error", [RefusedModel("it holds os.system"), RegistryError("the file is not there"), KeyError("new")])
    def test_a_champion_that_cannot_be_loaded_holds_nobody_up_and_its_problem_is_told(
        self, models: ModelFollower, shelves: Shelves, error: Exception
    ) -> None:
        shelves.refused_datasets["boats"] = error
        models.poll()

        assert models.starting() == ()
        problems = {alias.dataset: alias.problem for alias in models.status().aliases if alias.alias == "champion"}
        assert str(error) in problems.pop("boats")
        assert set(problems.values()) == {""}

    def test_a_registry_that_is_away_holds_nobody_up(self, models: ModelFollower, shelves: Shelves) -> None:
        shelves.away = True
        assert models.starting()
        models.poll()

        assert models.starting() == ()

    def test_a_process_that_has_started_stays_so_when_champions_move(self, models: ModelFollower, shelves: Shelves) -> None:
        models.poll()
        assert models.starting() == ()
        seen: list[tuple[str, ...]] = []
        shelves.while_loading = lambda: seen.append(models.starting())
        shelves.carried["champion"] = "3"
        models.poll()

        assert seen == [()] * len(NAMES)

    def test_a_download_that_hangs_does_not_hold_up_the_start_for_ever(
        self, models: ModelFollower, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hearth.serving.model_follower._FIRST_MODEL_SECONDS", 0.05)
        go_on = threading.Event()
        shelves.while_loading = lambda: go_on.wait(30)
        with models:
            assert models.starting()
            monkeypatch.setattr("hearth.serving.model_follower._START_SECONDS", 0.0)
            assert models.starting() == ()
            go_on.set()
            wait_until(lambda: models.status().last_poll is not None)

    def test_who_waits_for_a_follower_that_is_closed_is_told_so(self, shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hearth.serving.model_follower._FIRST_MODEL_SECONDS", 0.05)
        monkeypatch.setattr("hearth.serving.model_follower._CLOSE_SECONDS", 0.05)
        go_on = threading.Event()
        shelves.while_loading = lambda: go_on.wait(30)
        models = ModelFollower(shelves, CONTRACTS, poll_seconds=60).start()
        models.close()
        assert not models.wait_until_polled(30)
        go_on.set()
