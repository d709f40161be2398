"""Bad records, drift, and the messages that are made of them: pure, seeded, for any contract."""

import itertools
from random import Random
from statistics import mean

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, list_contracts
from hearth.contracts.records import check_records, split_records
from hearth.errors import InvalidDrift, InvalidMessage
from hearth.fakes import FakeRecords
from hearth.fakes.bad import BADNESSES, bad_record
from hearth.fakes.drift import Drift, parse_drift
from hearth.streaming.client import Entry
from hearth.streaming.messages import decode
from hearth.streaming.producer.fake_messages import Source, fake_messages
from tests.support.models import DATA, employees, good_record

CONTRACT = employees()
FAKES = FakeRecords.load(CONTRACT, DATA)
SOURCE = Source.of(CONTRACT, FAKES)
RECORDS = FAKES.records(1_000, 7)
CONTRACTS = list_contracts(DATA)
UNHURRIED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drift(*texts: str, contract: Contract = CONTRACT) -> Drift:
    return parse_drift(texts, [contract], {contract.name: RECORDS})[contract.name]


MUCH = drift("", "Sleep Hours=+3sd/min", "Team Size=-40/min", "Mental Fatigue Score=+1/min")


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
@pytest.mark.parametrize("badness", BADNESSES, ids=lambda badness: badness.name)
@UNHURRIED
@given(seed=st.integers())
def test_every_kind_of_badness_is_refused_by_every_contract_that_it_fits(seed: int, badness: object, contract: Contract) -> None:
    record = good_record(contract)
    spoilt = badness.spoil(contract, record, Random(seed))  # type: ignore[attr-defined]  # hypothesis wants plain parameters

    assert check_records(contract, [record])
    if spoilt is not None:
        checked = split_records(contract, [spoilt])
        assert not checked.good
        assert checked.count == 1


@UNHURRIED
@given(seed=st.integers())
def test_a_bad_record_is_always_found_and_the_good_one_is_left_alone(seed: int) -> None:
    record = good_record(CONTRACT)

    assert not split_records(CONTRACT, [bad_record(CONTRACT, record, Random(seed))]).good
    assert record == good_record(CONTRACT)


def test_messages_keep_the_contract_and_ask_every_model_in_turn() -> None:
    messages = [decode(Entry("1-0", made.fields)) for made in itertools.islice(fake_messages([SOURCE], 42), 8)]

    assert [message.alias for message in messages] == [*CONTRACT.families, "champion"] * (8 // (len(CONTRACT.families) + 1))
    assert {message.dataset for message in messages} == {CONTRACT.name}
    assert len(check_records(CONTRACT, [message.records[0] for message in messages])) == 8


def test_the_same_seed_gives_the_same_messages_and_another_one_others() -> None:
    first, again, other = (list(itertools.islice(fake_messages([SOURCE], seed, bad_share=0.1), 2_500)) for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert len({made.fields.get(b"records") for made in first}) > 2_300  # a new block is no repetition


def test_all_data_sets_get_their_turn() -> None:
    other = CONTRACT.model_copy(update={"name": "others"})
    made = itertools.islice(fake_messages([SOURCE, Source(other, FAKES, ("knn",))], 1), 10)

    told = [(message.dataset, message.alias) for message in (decode(Entry("1-0", one.fields)) for one in made)]

    assert told[: len(SOURCE.aliases) + 1] == [*((CONTRACT.name, alias) for alias in SOURCE.aliases), ("others", "knn")]


def test_only_models_that_are_there_are_asked_and_new_ones_join_in_the_next_round() -> None:
    other = Source(CONTRACT.model_copy(update={"name": "others"}), FAKES, ("svm", "champion"))
    there = {(CONTRACT.name, "knn"), ("others", "champion")}
    messages = fake_messages([SOURCE, other], 1, is_there=lambda turn: (turn[0].contract.name, turn[1]) in there)

    def asked(count: int) -> list[tuple[str, str]]:
        told = (decode(Entry("1-0", one.fields)) for one in itertools.islice(messages, count))
        return [(message.dataset, message.alias) for message in told]

    assert asked(4) == [(CONTRACT.name, "knn"), ("others", "champion")] * 2
    there.add(("others", "svm"))
    assert asked(3) == [(CONTRACT.name, "knn"), ("others", "svm"), ("others", "champion")]


@UNHURRIED
@given(records=st.integers(1, 200), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=3))
def test_there_are_just_as_many_records_as_were_asked_for(records: int, sizes: list[int]) -> None:
    made = list(fake_messages([SOURCE], 3, sizes=sizes, records=records))

    assert sum(one.records for one in made) == records
    assert all(one.records in sizes for one in made[:-1])


def test_what_a_message_says_of_itself_is_what_a_worker_finds() -> None:
    made = list(fake_messages([SOURCE], 5, sizes=(1, 7, 40), records=20_000, bad_share=0.3))

    for one in made:
        try:
            message = decode(Entry("1-0", one.fields))
        except InvalidMessage:
            assert not one.readable
            continue
        known = message.dataset == CONTRACT.name and message.alias in SOURCE.aliases
        assert known == one.readable
        if known:
            good = split_records(CONTRACT, message.records).good
            assert set(range(one.records)) - set(good) == one.bad
    assert sum(len(one.bad) for one in made) / 20_000 == pytest.approx(0.3, abs=0.05)
    assert 0 < sum(not one.readable for one in made) < len(made)


def test_without_a_bad_share_all_are_good() -> None:
    assert not any(one.bad for one in itertools.islice(fake_messages([SOURCE], 1), 3_000))


@pytest.mark.parametrize("text", ["Sleep Hours=-2/min", " Sleep Hours=-2/min".strip(), "Sleep Hours = -2.0/min", "Sleep Hours=-2./min"])
def test_a_number_moves_by_so_much_a_minute(text: str) -> None:
    moved = [drift(text).applied(record, 0.5, Random(0)) for record in RECORDS]

    before, after = (mean(float(str(record["Sleep Hours"])) for record in records) for records in (RECORDS, moved))
    assert after == pytest.approx(before - 1, abs=0.01)
    assert [{**record, "Sleep Hours": 0} for record in moved] == [{**record, "Sleep Hours": 0} for record in RECORDS]


def test_whole_numbers_stay_whole_and_their_mean_moves_evenly() -> None:
    random = Random(0)
    moved = [drift("Team Size=+1/min").applied(record, 0.25, random) for record in RECORDS]

    assert all(isinstance(record["Team Size"], int) for record in moved)
    before, after = (mean(float(str(record["Team Size"])) for record in records) for records in (RECORDS, moved))
    assert after - before == pytest.approx(0.25, abs=0.06)


def test_a_standard_deviation_is_that_of_the_records() -> None:
    [change] = drift("Sleep Hours=+1sd/min").changes

    values = [float(str(record["Sleep Hours"])) for record in RECORDS]
    spread = (mean(value**2 for value in values) - mean(values) ** 2) ** 0.5
    assert change.amount == pytest.approx(spread)  # type: ignore[union-attr]  # a number shifts


def test_a_category_takes_over_from_the_others_until_none_is_left() -> None:
    change = drift("Gender=Male+10%/min")

    shares = [
        mean(change.applied(record, minutes, Random(n))["Gender"] == "Male" for n, record in enumerate(RECORDS)) for minutes in (0, 5, 10)
    ]

    assert shares[0] < shares[1] < shares[2] == 1


@UNHURRIED
@given(minutes=st.floats(0, 1e6), seed=st.integers())
def test_whatever_the_drift_the_contract_is_kept(minutes: float, seed: int) -> None:
    moved = [MUCH.applied(record, minutes, Random(seed)) for record in RECORDS[:50]]

    assert len(check_records(CONTRACT, moved)) == 50
    assert [name for record in moved for name, value in record.items() if value is None] == [
        name for record in RECORDS[:50] for name, value in record.items() if value is None
    ]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_the_default_drift_fits_every_contract(contract: Contract) -> None:
    sample = [good_record(contract), good_record(contract)]

    [found] = parse_drift([""], [contract], {contract.name: sample}).values()

    assert found.changes
    assert len(check_records(contract, [found.applied(record, 3, Random(0)) for record in sample])) == 2
    assert all(isinstance(contract.columns[change.column], CategoryColumn | IntegerColumn) or change for change in found.changes)


@pytest.mark.parametrize("minutes", [0, 90])
def test_what_has_no_pace_changes_at_once_and_then_no_more(minutes: float) -> None:
    hours = mean(float(str(record["Sleep Hours"])) for record in RECORDS)
    change = drift("Sleep Hours=-1", "Gender=Male+50%")
    random = Random(3)
    moved = [change.applied(record, minutes, random) for record in RECORDS]

    assert mean(float(str(record["Sleep Hours"])) for record in moved) == pytest.approx(hours - 1, abs=0.05)
    assert mean(record["Gender"] == "Male" for record in moved) > 0.6
    assert str(change) == "Sleep Hours -1, Gender Male +50%"


def test_a_drift_that_only_one_data_set_can_have_leaves_the_others_alone() -> None:
    columns = {name: column for name, column in CONTRACT.columns.items() if name != "Sleep Hours"}
    other = CONTRACT.model_copy(update={"name": "others", "columns": columns})

    found = parse_drift(["Sleep Hours=+1/min"], [CONTRACT, other], {CONTRACT.name: RECORDS, "others": RECORDS})

    assert [len(found[name].changes) for name in (CONTRACT.name, "others")] == [1, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Shoe Size=+1/min", "there is no such feature; there are: "),
        ("Sleep Hours", "no such feature"),
        ("Sleep Hours=fast", "cannot be read"),
        ("Sleep Hours=+1/h", "cannot be read"),
        ("Sleep Hours=Male+1/min", "a number drifts"),
        ("Sleep Hours=+1%/min", "a number drifts"),
        ("Gender=Other+10%/min", "the categories are: Female, Male"),
        ("Gender=Male-10%/min", "a category drifts"),
        ("Gender=Male+10/min", "a category drifts"),
        ("Employee ID=+1/min", "no such feature"),
    ],
)
def test_a_drift_that_cannot_be_is_refused_with_what_can(text: str, reason: str) -> None:
    with pytest.raises(InvalidDrift, match=reason):
        drift(text)
