"""Moving aliases by hand: which moves are made, in which order, and which are refused."""

import pytest

from hearth.errors import AliasNotMoved, RefusedModel, RegistryError, RegistryUnavailable, UnknownAlias, UnknownVersion
from hearth.modelling.bounds import BoundResult
from hearth.modelling.comparison import Interval
from hearth.modelling.standing import Standing
from hearth.registry import RegisteredVersion, StoredModel
from hearth.serving.alias_admin import AliasAdmin, Move, PromotionRequest
from tests.support.models import FakeRegistry, employees

EMPLOYEES = employees()


class Ledger(FakeRegistry):
    """A registry in memory that has every version up to 9, of which 1 to 5 have passed the gate, and remembers what was moved."""

    def __init__(self, **carried: str) -> None:
        super().__init__(**carried)
        self.moves: list[tuple[str, str]] = []
        self.tags = {str(number): {"hearth.gate": "passed" if number <= 5 else "refused"} for number in range(1, 9)}
        self.tags["9"] = {}

    def version(self, dataset: str, name: str) -> RegisteredVersion:
        return super().version(dataset, name if name in self.tags else "no such version")

    def set_alias(self, dataset: str, alias: str, version: str) -> None:
        super().set_alias(dataset, alias, version)
        self.moves.append((alias, version))

    def records(self, version: str) -> list[str]:
        return [text for name, text in self.tags[version].items() if name.startswith("hearth.moved.")]


def roll_back(registry: FakeRegistry) -> Move:
    return AliasAdmin(registry).roll_back(EMPLOYEES, "operator")


def standing_that_breaks_a_bound() -> str:
    broken = BoundResult("recall_gap.High", 0.1, Interval(0.3, 0.2, 0.4), "broken", "Gender: Male against Female")
    return Standing("now", "file", 3_413, "macro_f1", Interval(0.8, 0.78, 0.82), bounds=(broken,)).to_json().decode()


def promote(registry: FakeRegistry, source: str, alias: str = "champion", *, force: bool = False) -> Move:
    return AliasAdmin(registry).promote(EMPLOYEES, PromotionRequest(source, alias, force), "operator")


class TestRollBack:
    def test_champion_and_previous_change_places(self) -> None:
        registry = Ledger(champion="2", previous="1", knn="2")

        move = roll_back(registry)

        assert registry.carried == {"champion": "1", "previous": "2", "knn": "2"}
        assert (move.version, move.before, move.after) == ("1", {"champion": "2", "previous": "1"}, {"champion": "1", "previous": "2"})

    def test_the_old_champion_serves_before_the_other_alias_moves(self) -> None:
        registry = Ledger(champion="2", previous="1")

        roll_back(registry)

        assert registry.moves == [("champion", "1"), ("previous", "2")]

    def test_a_second_time_undoes_the_first(self) -> None:
        registry = Ledger(champion="2", previous="1")

        roll_back(registry)
        roll_back(registry)

        assert registry.carried == {"champion": "2", "previous": "1"}

    def test_who_did_it_is_written_onto_the_version(self) -> None:
        registry = Ledger(champion="2", previous="1")

        roll_back(registry)

        assert registry.records("1") == ["champion by operator, rolled back from version 2"]

    def test_a_previous_champion_that_breaks_a_bound_now_needs_force_which_is_written_down(self) -> None:
        registry = Ledger(champion="2", previous="1")
        registry.tags["1"]["hearth.standing"] = standing_that_breaks_a_bound()

        with pytest.raises(AliasNotMoved, match=r"breaks a bound on the present test set: recall_gap\.High broken .*over_gate"):
            roll_back(registry)
        assert registry.moves == []

        AliasAdmin(registry).roll_back(EMPLOYEES, "operator", force=True)
        assert registry.carried == {"champion": "1", "previous": "2"}
        assert "over the gate (breaks a bound" in registry.records("1")[0]

    @pytest.mark.parametrize(("gate", "why"), [("waiting", "waits for the approval of a person"), ("refused", "is refused by the gate")])
    def test_a_version_that_was_promoted_over_the_gate_comes_back_over_the_gate_alone(self, gate: str, why: str) -> None:
        registry = Ledger(champion="1")
        registry.tags["2"]["hearth.gate"] = gate
        promote(registry, "2", force=True)
        roll_back(registry)
        assert registry.carried == {"champion": "1", "previous": "2"}

        with pytest.raises(AliasNotMoved, match=f"{why}.*over_gate"):
            roll_back(registry)
        assert registry.carried == {"champion": "1", "previous": "2"}

        AliasAdmin(registry).roll_back(EMPLOYEES, "operator", force=True)
        assert registry.carried == {"champion": "2", "previous": "1"}
        assert registry.records("2")[-1] == f"champion by operator, over the gate ({gate}), rolled back from version 1"

    def test_without_a_champion_before_nothing_is_moved(self) -> None:
        registry = Ledger(champion="2")

        with pytest.raises(AliasNotMoved, match="has no previous champion"):
            roll_back(registry)
        assert registry.moves == []

    def test_a_champion_that_is_its_own_predecessor_stays(self) -> None:
        with pytest.raises(AliasNotMoved, match="version 2 carries both"):
            roll_back(Ledger(champion="2", previous="2"))

    def test_a_champion_that_was_removed_can_be_brought_back(self) -> None:
        registry = Ledger(previous="1")

        roll_back(registry)

        assert registry.carried == {"champion": "1", "previous": "1"}

    def test_a_version_that_must_not_be_loaded_never_becomes_champion(self) -> None:
        class Broken(Ledger):
            def load_with_example(self, _: RegisteredVersion) -> StoredModel:
                raise RefusedModel("it holds types that are not on the list")

        registry = Broken(champion="2", previous="1")

        with pytest.raises(RefusedModel):
            roll_back(registry)
        assert registry.moves == []

    def test_a_version_that_breaks_the_contract_never_becomes_champion(self) -> None:
        class OfAnotherContract:
            def predict_proba(self, _: object) -> object:
                raise ValueError("feature names are missing")

        registry = Ledger(champion="2", previous="1")
        registry.model = OfAnotherContract()

        with pytest.raises(RefusedModel):
            roll_back(registry)
        assert registry.moves == []

    def test_what_another_moves_meanwhile_is_not_moved_back(self) -> None:
        class Busy(Ledger):
            def load_with_example(self, version: RegisteredVersion) -> StoredModel:
                self.carried["champion"] = "3"
                return super().load_with_example(version)

        registry = Busy(champion="2", previous="1")

        with pytest.raises(AliasNotMoved, match="meanwhile"):
            roll_back(registry)
        assert registry.moves == []

    def test_a_crash_between_the_moves_leaves_the_old_champion_serving(self) -> None:
        class Failing(Ledger):
            def set_alias(self, dataset: str, alias: str, version: str) -> None:
                if self.moves:
                    raise RegistryUnavailable("MLflow does not answer")
                super().set_alias(dataset, alias, version)

        registry = Failing(champion="2", previous="1")

        with pytest.raises(RegistryUnavailable):
            roll_back(registry)
        assert registry.carried == {"champion": "1", "previous": "1"}

    def test_no_move_is_made_that_cannot_be_recorded(self) -> None:
        class Mute(Ledger):
            def annotate(self, *_: object) -> None:
                raise RegistryError("MLflow refused a request")

        registry = Mute(champion="2", previous="1")

        with pytest.raises(RegistryError):
            roll_back(registry)
        assert registry.moves == []


class TestAppoint:
    def test_the_champion_that_is_replaced_becomes_previous_first(self) -> None:
        registry = Ledger(champion="2", previous="1")

        move = promote(registry, "4")

        assert registry.moves == [("previous", "2"), ("champion", "4")]
        assert (move.before, move.after) == ({"champion": "2", "previous": "1"}, {"previous": "2", "champion": "4"})
        assert registry.records("4") == ["champion by operator, before it version 2"]

    def test_the_first_champion_has_no_predecessor(self) -> None:
        registry = Ledger()

        promote(registry, "4")

        assert registry.carried == {"champion": "4"}

    def test_a_version_can_be_named_by_an_alias_that_it_carries(self) -> None:
        registry = Ledger(champion="2", challenger="5")

        assert promote(registry, "challenger").version == "5"
        assert registry.carried == {"champion": "5", "previous": "2", "challenger": "5"}

    def test_what_is_champion_already_stays_and_nothing_is_recorded(self) -> None:
        registry = Ledger(champion="2", previous="1")

        move = promote(registry, "2")

        assert move.before == move.after
        assert (registry.moves, registry.records("2")) == ([], [])

    @pytest.mark.parametrize(("version", "gate"), [("6", "refused"), ("9", "not judged")])
    def test_over_the_gate_goes_only_who_says_so_and_that_is_recorded(self, version: str, gate: str) -> None:
        registry = Ledger(champion="2")

        with pytest.raises(AliasNotMoved, match=f"is {gate} by the gate"):
            promote(registry, version)
        assert registry.moves == []

        assert promote(registry, version, force=True).gate == gate
        assert registry.records(version) == [f"champion by operator, over the gate ({gate}), before it version 2"]

    def test_a_challenger_need_not_have_passed_the_gate(self) -> None:
        registry = Ledger(champion="2")

        promote(registry, "6", "challenger")

        assert registry.carried == {"champion": "2", "challenger": "6"}

    def test_a_familys_alias_is_for_its_own_versions(self) -> None:
        registry = Ledger(champion="2")

        with pytest.raises(AliasNotMoved, match=r"is of 'knn'"):
            promote(registry, "4", "svm")
        promote(registry, "4", "knn")
        assert registry.carried == {"champion": "2", "knn": "4"}

    def test_previous_is_not_moved_by_itself(self) -> None:
        with pytest.raises(AliasNotMoved, match="follows the champion"):
            promote(Ledger(champion="2"), "4", "previous")

    @pytest.mark.parametrize(("source", "alias"), [("4", "best"), ("best", "champion"), ("4", ""), ("-4", "champion"), ("٤", "champion")])
    def test_an_alias_that_the_data_set_cannot_have_is_unknown(self, source: str, alias: str) -> None:
        with pytest.raises(UnknownAlias):
            promote(Ledger(champion="2"), source, alias)

    @pytest.mark.parametrize("source", ["10", "challenger"])
    def test_a_version_that_is_not_there_is_unknown(self, source: str) -> None:
        registry = Ledger(champion="2")

        with pytest.raises(UnknownVersion):
            promote(registry, source)
        assert registry.moves == []


class TestOrigin:
    """A version of generated data that has passed the gate before real data came."""

    @pytest.fixture
    def registry(self) -> Ledger:
        registry = Ledger(champion="2")
        problem = "it was made from generated data, and real data are published (feed)"
        standing = Standing("feed", "file", 3_400, "macro_f1", Interval(0.9, 0.89, 0.91), problem=problem, has_claim=False)
        registry.tags["1"] |= {"hearth.standing": standing.to_json().decode()}
        return registry

    def test_it_gets_no_alias_any_more_and_the_reason_is_named(self, registry: Ledger) -> None:
        with pytest.raises(AliasNotMoved, match="is refused by the gate: it was made from generated data, and real data are published"):
            promote(registry, "1")

        assert registry.moves == []

    def test_a_person_may_insist_and_that_is_recorded(self, registry: Ledger) -> None:
        assert promote(registry, "1", force=True).gate == "refused"
        assert registry.records("1") == ["champion by operator, over the gate (refused), before it version 2"]


class TestBoundsAndApproval:
    def test_a_version_that_breaks_a_bound_now_is_promoted_by_force_alone(self) -> None:
        registry = Ledger(champion="2")
        registry.tags["3"]["hearth.standing"] = standing_that_breaks_a_bound()

        with pytest.raises(AliasNotMoved, match=r"recall_gap\.High broken"):
            promote(registry, "3")
        assert promote(registry, "3", force=True).after == {"previous": "2", "champion": "3"}

    def test_a_version_that_waits_for_a_person_is_promoted_by_force_alone(self) -> None:
        registry = Ledger(champion="2")
        registry.tags["3"] |= {"hearth.gate": "waiting", "hearth.approval": "waiting", "hearth.approval_task": "train_knn/run/approve"}

        with pytest.raises(AliasNotMoved, match=r"waits for the approval of a person: `hearth approve employees 3`"):
            promote(registry, "3")
        assert registry.moves == []
        [state] = [state for state in AliasAdmin(registry).candidates(EMPLOYEES) if state.registered.version == "3"]
        assert state.gate == "waiting"
        assert state.registered.approval is not None
        assert state.registered.approval.task == "train_knn/run/approve"
        promote(registry, "3", force=True)
        assert registry.records("3") == ["champion by operator, over the gate (waiting), before it version 2"]
