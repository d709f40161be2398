import logging
import threading
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd
import pytest

from hearth.errors import ModelUnavailable, RefusedModel, RegistryError, UnknownAlias, UnknownDataset
from hearth.registry import RegisteredVersion, StoredModel
from hearth.serving.model_follower import ModelFollower
from tests.support.fake_registry import FakeRegistry
from tests.support.samples import EMPLOYEES, records, sample_rows
from tests.support.waiting import LIMIT_SECONDS, wait_until


class Always:
    """A pipeline that is sure of one class."""

    def __init__(self, code: int) -> None:
        self.code = code

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        return np.tile(np.eye(3)[self.code], (len(frame), 1))


class Slow(Always):
    """One that takes longer than others may wait."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        time.sleep(0.003)
        return super().predict_proba(frame)


class Raises:
    """A pipeline that cannot do anything."""

    def predict_proba(self, _: pd.DataFrame) -> np.ndarray:
        raise ZeroDivisionError


class ByNumber(dict[str, object]):
    """The model of each version: it is sure of the class that is the version's number modulo 3."""

    def get(self, version: str, default: object = None) -> object:
        return super().get(version, default) if version in self else Always(int(version) % 3)


@pytest.fixture
def registry() -> FakeRegistry:
    registry = FakeRegistry(knn="1", champion="1")
    registry.models = ByNumber()
    return registry


@pytest.fixture
def models(registry: FakeRegistry) -> ModelFollower:
    return ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=0.01)


RECORDS = records(sample_rows(EMPLOYEES, 4)[0])


class TestGet:
    def test_an_alias_gives_its_version_with_a_scorer(self, models: ModelFollower) -> None:
        models.poll()

        model = models.get("employees", "knn")

        assert (model.dataset, model.alias, model.version, model.family, model.run_id) == ("employees", "knn", "1", "knn", "run-1")
        assert model.scorer.score(RECORDS).codes.tolist() == [1, 1, 1, 1]

    def test_a_data_set_without_contract_is_unknown(self, models: ModelFollower) -> None:
        with pytest.raises(UnknownDataset, match="there are: employees"):
            models.get("weather", "knn")

    def test_an_alias_that_the_data_set_cannot_have_is_unknown(self, models: ModelFollower) -> None:
        models.poll()

        with pytest.raises(UnknownAlias, match="it can have: knn, svm, lightgbm, champion, challenger, canary, previous"):
            models.get("employees", "tarot")

    @pytest.mark.parametrize("alias", ["svm", "challenger"])
    def test_an_alias_without_a_version_is_unavailable(self, models: ModelFollower, alias: str) -> None:
        models.poll()

        with pytest.raises(ModelUnavailable, match="no version carries this alias yet"):
            models.get("employees", alias)

    def test_with_the_registry_away_and_nothing_loaded_the_reason_is_the_registry(
        self, models: ModelFollower, registry: FakeRegistry
    ) -> None:
        registry.away = True
        models.poll()

        with pytest.raises(ModelUnavailable, match="MLflow does not answer"):
            models.get("employees", "knn")

    def test_the_registry_is_never_asked_when_a_model_is_got(self, models: ModelFollower, registry: FakeRegistry) -> None:
        with pytest.raises(ModelUnavailable, match="the registry has not been asked yet"):
            models.get("employees", "knn")
        models.poll()
        for _ in range(3):
            models.get("employees", "knn")

        assert (registry.polls, registry.loads) == (1, ["1"])


class TestLook:
    def test_two_aliases_of_one_version_share_what_is_loaded(self, models: ModelFollower, registry: FakeRegistry) -> None:
        models.poll()
        registry.carried["previous"] = "1"
        models.poll()

        assert registry.loads == ["1"]
        assert (
            models.get("employees", "knn").scorer
            is models.get("employees", "champion").scorer
            is models.get("employees", "previous").scorer
        )

    def test_a_moved_alias_is_followed_and_the_others_stay(self, models: ModelFollower, registry: FakeRegistry) -> None:
        models.poll()
        champion = models.get("employees", "champion")
        registry.carried["knn"] = "2"
        models.poll()

        assert models.get("employees", "knn").version == "2"
        assert models.get("employees", "champion") is champion

    def test_the_old_version_serves_while_the_new_one_loads(self, models: ModelFollower, registry: FakeRegistry) -> None:
        models.poll()
        served: list[str] = []
        registry.while_loading = lambda: served.append(models.get("employees", "knn").version)
        registry.carried["knn"] = "2"

        models.poll()

        assert served == ["1"]
        assert models.get("employees", "knn").version == "2"

    def test_a_version_of_the_same_number_in_a_registered_model_that_was_made_anew_replaces_the_old_one(
        self, models: ModelFollower, registry: FakeRegistry
    ) -> None:
        registry.broken["2"] = RefusedModel("models:/employees/2 holds os.system")
        registry.carried["svm"] = "2"
        models.poll()
        registry.broken.clear()
        registry.made += timedelta(minutes=1)
        registry.run_prefix = "other"
        models.poll()
        models.poll()

        assert (models.get("employees", "knn").run_id, models.get("employees", "svm").run_id) == ("other-1", "other-2")
        assert sorted(registry.loads) == ["1", "1", "2", "2"]

    def test_the_old_version_serves_until_the_new_one_of_its_number_could_be_loaded(
        self, models: ModelFollower, registry: FakeRegistry
    ) -> None:
        models.poll()
        registry.made += timedelta(minutes=1)
        registry.run_prefix = "other"
        registry.broken["1"] = RegistryError("the file is not there")
        for _ in range(2):
            models.poll()
            assert models.get("employees", "knn").run_id == "run-1"
        assert "the file is not there" in {alias.problem for alias in models.status().aliases}
        registry.broken.clear()
        models.poll()
        assert models.get("employees", "knn").run_id == models.get("employees", "champion").run_id == "other-1"

    def test_a_registered_model_that_was_made_anew_of_the_same_runs_is_not_loaded_again(
        self, models: ModelFollower, registry: FakeRegistry
    ) -> None:
        models.poll()
        registry.made += timedelta(minutes=1)
        models.poll()

        assert registry.loads == ["1"]

    def test_while_the_registry_is_away_after_it_was_made_anew_the_old_version_serves_until_its_run_is_known(
        self, models: ModelFollower, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: str) -> RegisteredVersion:
            raise RegistryError("MLflow does not answer.")

        models.poll()
        registry.made += timedelta(minutes=1)
        registry.run_prefix = "other"
        with monkeypatch.context() as context:
            context.setattr(registry, "version", away)
            models.poll()
            assert models.get("employees", "knn").run_id == "run-1"
            assert models.status().problem == "MLflow does not answer."
        models.poll()
        assert models.get("employees", "knn").run_id == "other-1"

    def test_an_alias_that_is_taken_away_is_no_longer_served(self, models: ModelFollower, registry: FakeRegistry) -> None:
        models.poll()
        del registry.carried["champion"]
        models.poll()

        with pytest.raises(ModelUnavailable):
            models.get("employees", "champion")
        assert models.get("employees", "knn").version == "1"

    def test_aliases_that_the_data_set_cannot_have_are_not_loaded(self, models: ModelFollower, registry: FakeRegistry) -> None:
        registry.carried["experiment"] = "9"
        models.poll()

        assert registry.loads == ["1"]

    def test_a_refused_version_is_refused_once_and_the_old_one_stays(
        self, models: ModelFollower, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        models.poll()
        registry.broken["2"] = RefusedModel("models:/employees/2 holds os.system")
        registry.carried["knn"] = registry.carried["champion"] = "2"
        for _ in range(3):
            models.poll()

        assert models.get("employees", "knn").version == models.get("employees", "champion").version == "1"
        assert registry.loads == ["1", "2"]
        assert [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR] == [
            "employees@champion: models:/employees/2 holds os.system"
        ]
        assert {(alias.serving, alias.registered, alias.problem) for alias in models.status().aliases if alias.alias == "knn"} == {
            ("1", "2", "models:/employees/2 holds os.system")
        }

    def test_a_version_that_makes_a_library_raise_anything_is_refused_and_the_follower_lives_on(
        self, models: ModelFollower, registry: FakeRegistry
    ) -> None:
        with models:
            registry.models["2"] = Raises()
            registry.carried["knn"] = "2"
            wait_until(lambda: any("ZeroDivisionError" in alias.problem for alias in models.status().aliases))
            registry.carried["knn"] = "3"
            wait_until(lambda: models.get("employees", "knn").version == "3")

    @pytest.mark.parametrize("error", [KeyError("nobody thought of this"), TypeError("isnan"), MemoryError(), RecursionError()])
    def test_a_version_that_fails_in_a_new_way_is_refused_by_name_for_its_alias_alone(
        self, models: ModelFollower, registry: FakeRegistry, error: Exception
    ) -> None:
        with models:
            registry.broken["2"] = error
            registry.carried |= {"knn": "2", "svm": "4"}
            wait_until(lambda: {alias.serving for alias in models.status().aliases if alias.alias == "svm"} == {"4"})
            problem = f"models:/employees/2 cannot be served ({type(error).__name__}: {error}). Train again."
            wait_until(lambda: [alias.problem for alias in models.status().aliases if alias.alias == "knn"] == [problem])
            assert models.get("employees", "knn").version == "1"
            registry.carried["knn"] = "3"
            wait_until(lambda: models.get("employees", "knn").version == "3")
        assert registry.loads.count("2") == 1

    def test_a_data_set_whose_aliases_cannot_be_read_does_not_stop_the_others(self) -> None:
        class Partly(FakeRegistry):
            def aliases(self, dataset: str) -> dict[str, str]:
                if dataset == "accounts" and "accounts" in self.broken:
                    raise self.broken["accounts"]
                return dict(self.carried)

            def load_with_example(self, version: RegisteredVersion) -> StoredModel:
                return super().load_with_example(replace(version, dataset="employees"))

        registry = Partly(knn="1")
        registry.models = ByNumber()
        registry.broken["accounts"] = KeyError("nobody thought of this")
        accounts = EMPLOYEES.model_copy(update={"name": "accounts"})
        models = ModelFollower(registry, {"accounts": accounts, "employees": EMPLOYEES}, poll_seconds=0.01)
        models.poll()

        assert models.get("employees", "knn").version == "1"
        with pytest.raises(ModelUnavailable, match=r"the poll of the registry failed .KeyError: 'nobody thought of this'"):
            models.get("accounts", "knn")
        registry.broken.clear()
        models.poll()
        assert models.get("accounts", "knn").version == "1"

    def test_an_alias_serves_as_soon_as_it_is_loaded_and_the_champion_comes_first(
        self, models: ModelFollower, registry: FakeRegistry
    ) -> None:
        registry.carried = {"knn": "1", "svm": "2", "champion": "3"}
        seen: list[set[str | None]] = []
        registry.while_loading = lambda: seen.append({alias.alias for alias in models.status().aliases if alias.serving})

        models.poll()

        assert seen[0] == set()
        assert all("champion" in served for served in seen[1:])
        assert registry.loads[0] == "3"
        assert sorted(registry.loads) == ["1", "2", "3"]

    def test_versions_other_than_champions_are_loaded_at_the_same_time(self, models: ModelFollower, registry: FakeRegistry) -> None:
        registry.carried = {"knn": "1", "svm": "2"}
        both = threading.Barrier(2, timeout=30)
        registry.while_loading = both.wait  # each load waits for the other to have begun

        models.poll()

        assert {alias.serving for alias in models.status().aliases if alias.serving} == {"1", "2"}

    def test_an_alias_whose_version_is_being_loaded_says_so(self, models: ModelFollower, registry: FakeRegistry) -> None:
        said: list[str] = []

        def ask() -> None:
            try:
                models.get("employees", "knn")
            except ModelUnavailable as error:
                said.append(str(error))

        registry.while_loading = ask
        models.poll()

        assert said == ["models:/employees@knn cannot be served: version 1 is being loaded."]

    def test_a_refused_version_with_nothing_before_it_is_unavailable_with_the_reason(
        self, models: ModelFollower, registry: FakeRegistry
    ) -> None:
        registry.broken["1"] = RefusedModel("models:/employees/1 holds os.system")
        models.poll()

        with pytest.raises(ModelUnavailable, match=r"holds os\.system"):
            models.get("employees", "knn")

    def test_a_version_of_another_contract_is_refused(self, registry: FakeRegistry) -> None:
        two = EMPLOYEES.model_copy(update={"target": EMPLOYEES.target.model_copy(update={"classes": ("Low", "High"), "cuts": (0.5,)})})
        models = ModelFollower(registry, {"employees": two}, poll_seconds=1)
        models.poll()

        with pytest.raises(ModelUnavailable, match="knows 3 classes"):
            models.get("employees", "knn")

    def test_a_download_that_fails_is_tried_again_and_holds_up_no_other_alias(
        self, models: ModelFollower, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry.broken["2"] = RegistryError("the file is not there")
        registry.carried |= {"knn": "2", "svm": "3"}
        models.poll()
        models.poll()

        assert models.get("employees", "svm").version == "3"
        assert registry.loads.count("2") == 2
        assert sum("is not loaded yet: the file is not there" in line.getMessage() for line in caplog.records) == 1
        with pytest.raises(ModelUnavailable, match="the file is not there"):
            models.get("employees", "knn")

        registry.broken.clear()
        models.poll()
        assert models.get("employees", "knn").version == "2"

    def test_while_the_registry_is_away_what_is_loaded_serves_and_it_is_said_once(
        self, models: ModelFollower, registry: FakeRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        models.poll()
        registry.away = True
        caplog.clear()
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                models.poll()
            assert models.get("employees", "knn").version == "1"
            assert models.status().problem == "MLflow does not answer."
            registry.problem = "MLflow has only just started."
            models.poll()
            assert models.status().problem == "MLflow has only just started."
            registry.away = False
            models.poll()

        assert [line.getMessage() for line in caplog.records] == [
            "employees: MLflow does not answer. What is loaded keeps serving.",
            "employees: the registry answers again",
        ]
        assert models.status().problem == ""


class TestRecordsInPlace:
    def test_a_fast_model_scores_many_records_where_they_arrive(self, models: ModelFollower) -> None:
        models.poll()

        assert models.get("employees", "knn").records_in_place > 0

    def test_a_slow_one_scores_none(self, models: ModelFollower, registry: FakeRegistry) -> None:
        registry.models["1"] = Slow(1)
        models.poll()

        assert models.get("employees", "knn").records_in_place == 0


class TestFollower:
    def test_models_are_there_when_start_returns(self, models: ModelFollower) -> None:
        with models:
            assert models.get("employees", "champion").version == "1"
            assert models.status().following

    def test_a_moved_alias_is_followed_without_being_asked(self, models: ModelFollower, registry: FakeRegistry) -> None:
        with models:
            registry.carried["knn"] = "2"
            wait_until(lambda: models.get("employees", "knn").version == "2")

    def test_a_registry_that_comes_late_is_found(self, models: ModelFollower, registry: FakeRegistry) -> None:
        registry.away = True
        with models:
            with pytest.raises(ModelUnavailable):
                models.get("employees", "knn")
            registry.away = False
            wait_until(lambda: any(alias.alias == "knn" and alias.serving == "1" for alias in models.status().aliases))
            assert models.status().problem == ""

    def test_a_registry_that_hangs_does_not_keep_a_process_from_starting(
        self, models: ModelFollower, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hearth.serving.model_follower._FIRST_ANSWER_SECONDS", 0.05)
        answers = threading.Event()
        monkeypatch.setattr(registry, "aliases", lambda _: {"champion": "1"} if answers.wait(LIMIT_SECONDS) else {})
        with models:
            with pytest.raises(ModelUnavailable, match="has not been asked yet"):
                models.get("employees", "champion")
            answers.set()
            wait_until(lambda: models.status().last_poll is not None)
            assert models.get("employees", "champion").version == "1"

    def test_a_download_that_hangs_does_not_either(
        self, models: ModelFollower, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hearth.serving.model_follower._FIRST_MODEL_SECONDS", 0.05)
        answers = threading.Event()
        registry.while_loading = lambda: answers.wait(LIMIT_SECONDS)
        with models:
            with pytest.raises(ModelUnavailable, match="version 1 is being loaded"):
                models.get("employees", "champion")
            answers.set()
            wait_until(lambda: models.status().last_poll is not None)
            assert models.get("employees", "champion").version == "1"

    def test_a_reader_never_sees_a_gap_while_aliases_move(self, models: ModelFollower, registry: FakeRegistry) -> None:
        with models:
            done = threading.Event()
            seen: set[str] = set()

            def read() -> None:
                while not done.is_set():
                    seen.add(models.get("employees", "knn").version)

            reader = threading.Thread(target=read)
            reader.start()
            for version in ("2", "3", "4"):
                registry.carried["knn"] = version
                wait_until(partial(seen.__contains__, version))
            done.set()
            reader.join()

        assert seen == {"1", "2", "3", "4"}

    def test_after_close_nobody_asks_the_registry_and_what_is_loaded_still_serves(self, registry: FakeRegistry) -> None:
        models = ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=3600).start()
        started = time.monotonic()
        models.close()

        assert time.monotonic() - started < LIMIT_SECONDS  # the long wait between two looks is cut short
        assert not models.status().following
        assert models.get("employees", "knn").version == "1"
        assert registry.polls == 1


class TestRefresh:
    """What the registry says of a version, such as its standing, changes while its model serves."""

    def follower(self, registry: FakeRegistry, seconds: float = 0) -> ModelFollower:
        models = ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=0.01, refresh_seconds=seconds)
        models.poll()
        return models

    def test_new_tags_of_a_served_version_are_seen_without_loading_it_again(self, registry: FakeRegistry) -> None:
        models = self.follower(registry)
        loads, before = list(registry.loads), models.get("employees", "knn")
        registry.tags["1"] = {"hearth.gate": "passed"}

        models.poll()

        after = models.get("employees", "knn")
        assert after.registered.tags == {"hearth.gate": "passed"}
        assert registry.loads == loads
        assert after.scorer is before.scorer

    def test_between_two_times_only_the_aliases_are_read(self, registry: FakeRegistry) -> None:
        models = self.follower(registry, seconds=3_600)
        calls = registry.calls

        models.poll()

        assert registry.calls == calls + 1

    def test_a_version_that_was_made_anew_under_its_number_does_not_lend_its_name_to_the_old_model(self, registry: FakeRegistry) -> None:
        models = self.follower(registry)

        class Anew(FakeRegistry):
            def version(self, dataset: str, name: str) -> RegisteredVersion:
                return replace(super().version(dataset, name), run_id="another")

        models._registry = Anew(knn="1", champion="1")
        models.poll()

        assert models.get("employees", "knn").run_id == "run-1"

    def test_a_version_that_cannot_be_read_now_keeps_what_is_known(self, registry: FakeRegistry, caplog: pytest.LogCaptureFixture) -> None:
        models = self.follower(registry)

        class Forgetful(FakeRegistry):
            def version(self, dataset: str, name: str) -> RegisteredVersion:
                raise ModelUnavailable(dataset, name, "it was deleted.")

        models._registry = Forgetful(knn="1", champion="1")
        models.poll()

        assert models.get("employees", "knn").version == "1"
        assert "was not read again" in caplog.text

    @pytest.mark.parametrize(
        "error", [RegistryError("it is busy"), ModelUnavailable("x", "1", "it is gone."), KeyError("nobody thought of this")]
    )
    def test_data_sets_that_always_fail_do_not_keep_others_from_their_turn(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked: list[str] = []

        class Failing(FakeRegistry):
            def aliases(self, dataset: str) -> dict[str, str]:  # noqa: ARG002 - the registry's interface
                return dict(self.carried)

            def version(self, dataset: str, name: str) -> RegisteredVersion:
                asked.append(dataset)
                if "versions" in self.broken:
                    raise self.broken["versions"]
                return super().version(dataset, name)

            def load_with_example(self, version: RegisteredVersion) -> StoredModel:
                return super().load_with_example(replace(version, dataset="employees"))

        registry = Failing(champion="1")
        registry.models = ByNumber()
        names = [f"set_{number}" for number in range(7)]  # more than have their turn in one poll
        contracts = {name: EMPLOYEES.model_copy(update={"name": name}) for name in names}
        models = ModelFollower(registry, contracts, poll_seconds=0.01, refresh_seconds=0)
        models.poll()
        asked.clear()
        registry.broken["versions"] = error
        models.poll()
        models.poll()

        assert set(asked) == set(names)
        assert {models.get(name, "champion").version for name in names} == {"1"}
        said = "the poll of the registry failed" if isinstance(error, KeyError) else "was not read again"
        assert caplog.text.count(said) == len(asked)

    def test_a_failure_that_nobody_thought_of_does_not_end_the_follower(self, registry: FakeRegistry) -> None:
        def broken(dataset: str, name: str) -> RegisteredVersion:
            asked.set()
            raise KeyError(dataset, name)

        asked = threading.Event()
        with ModelFollower(registry, {"employees": EMPLOYEES}, poll_seconds=0.01, refresh_seconds=0) as models:
            assert models.wait_until_polled(30)
            registry.version, works = broken, registry.version  # type: ignore[method-assign]
            assert asked.wait(30)
            registry.version = works  # type: ignore[method-assign]
            registry.carried["knn"] = "2"
            wait_until(lambda: models.get("employees", "knn").version == "2")
            assert models.status().following
