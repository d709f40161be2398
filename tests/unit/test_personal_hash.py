"""Values of `personal: hash` columns are stored as keyed hashes: equal for equal values, and not to be read."""

import unicodedata
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pytest

from hearth.contracts import Contract
from hearth.contracts.record_parser import RecordParser
from hearth.errors import InvalidSettings
from hearth.predictions.personal_hash import PREFIX, PersonalHash
from hearth.predictions.recorded_columns import recorded_columns
from hearth.serving.recording.answer import describe_features
from hearth.serving.recording.messages import AnswerBatch, blocks
from hearth.streaming.client import Entry
from hearth.streaming.messages import encode, read_records
from hearth.streaming.worker.personal_values import PersonalValues
from hearth.streaming.worker.scoring import _recorded, score
from tests.support.models import employees, good_record
from tests.unit.test_explaining import fitted
from tests.unit.test_personal_values import with_personal

KEY = "a key of more than sixteen characters"
NAMES = {"Gender", "Sleep Hours"}


def hashed(*names: str) -> Contract:
    contract = employees()
    columns = {name: {**column.model_dump(), "personal": "hash"} if name in names else column for name, column in contract.columns.items()}
    return Contract.model_validate({**contract.model_dump(exclude_unset=True), "columns": columns})


CONTRACT = hashed(*NAMES)
HASH = PersonalHash.of(CONTRACT, KEY)


def test_a_value_has_one_hash_whatever_form_it_comes_in_and_another_in_another_column() -> None:
    values = [HASH.hashed("Sleep Hours", value) for value in (6, 6.0, np.float64(6))]
    assert len(set(values)) == 1
    assert str(values[0]).startswith(PREFIX)
    others = {HASH.hashed("Sleep Hours", 6.5), HASH.hashed("Gender", 6), PersonalHash.of(CONTRACT, KEY + "2").hashed("Sleep Hours", 6)}
    assert len(others | set(values)) == 4
    assert HASH.hashed("Sleep Hours", None) is None
    assert HASH.hashed("Designation", 3) == 3


def with_accents(category: str) -> Contract:
    """Return the contract with an accent in a category of a hashed column, and with numbers of both signs."""
    content = CONTRACT.model_dump(exclude_unset=True)
    content["columns"]["Gender"]["categories"] = [category, "Male"]
    content["columns"]["Sleep Hours"]["minimum"] = -12
    return Contract.model_validate(content)


@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_equal_values_have_one_hash_by_stream_and_by_interface_however_they_are_written(written: Literal["NFC", "NFD"]) -> None:
    contract = with_accents(unicodedata.normalize(written, "Féminin"))
    record = good_record(contract)
    forms = [
        {**record, "Gender": gender, "Sleep Hours": hours}
        for gender in (unicodedata.normalize("NFC", "Féminin"), unicodedata.normalize("NFD", "Féminin"))
        for hours in (0, 0.0, -0.0)
    ]
    stored = _recorded(read_records(Entry("1-0", encode("employees", "champion", forms))), contract, HASH)
    stored += [found for form in forms for found in by_interfaces(contract, form, HASH)]
    assert len(stored) == 2 * len(forms)
    for name in NAMES:
        assert len({str(found[name]) for found in stored}) == 1


@pytest.mark.parametrize("key", ["", "short"])
def test_without_a_key_a_service_does_not_start_and_says_what_to_do(key: str) -> None:
    with pytest.raises(
        InvalidSettings, match=r"HEARTH_PREDICTIONS_HASH_KEY has \d characters.*'employees'.*Gender, Sleep Hours.*personal: true"
    ):
        PersonalHash.of(CONTRACT, key)
    assert PersonalHash.of(employees(), key).hashed("Gender", "Female") == "Female"


def test_the_key_is_in_no_text_of_it() -> None:
    assert KEY not in repr(HASH)


def test_the_column_is_stored_and_stays_out_of_letters_and_errors() -> None:
    assert set(recorded_columns(CONTRACT)) == set(CONTRACT.feature_names)
    assert CONTRACT.personal_columns == CONTRACT.hashed_columns == NAMES
    assert PersonalValues([CONTRACT])._names == NAMES


def test_what_the_worker_stores_is_what_the_interfaces_store() -> None:
    """The same record by both ways has the same hashes, and no other value changes."""
    model, record = fitted("logistic_regression"), {**good_record(CONTRACT), "Gender": "Female", "Sleep Hours": 6}
    block = score(model, CONTRACT, [Entry("1-0", encode("employees", "champion", [record]))], HASH).block
    [stored] = block.records
    assert (stored["Gender"], stored["Sleep Hours"]) == (HASH.hashed("Gender", "Female"), HASH.hashed("Sleep Hours", 6))
    assert {name: value for name, value in stored.items() if name not in NAMES} == {
        name: record[name] for name in CONTRACT.feature_names if name not in NAMES
    }
    assert b"Female" not in b"".join(block.lines())
    [by_interface] = by_interfaces(CONTRACT, record, HASH)
    assert by_interface == stored


def by_interfaces(contract: Contract, record: dict[str, object], personal_hash: PersonalHash | None) -> list[dict[str, object]]:
    """Return what REST, GraphQL and gRPC store of a record."""
    columns = RecordParser(contract).parse([record])
    batch = AnswerBatch(
        dataset="employees",
        alias="champion",
        version="1",
        family="svm",
        source="rest",
        role="answer",
        features=describe_features(contract, personal_hash),
        classes=("Low", "Medium", "High"),
        ids=["a"],
        sizes=[1],
        times=[datetime.now(UTC).timestamp()],
        rows=np.zeros(1, np.int32),
        numbers=columns.numbers,
        codes=columns.codes,
        label_codes=np.zeros(1, np.intp),
        probabilities=np.array([[0.2, 0.3, 0.5]]),
    )
    return [dict(record) for block in blocks(batch) for record in block.records]


def test_a_column_that_is_left_out_does_not_shift_the_values_of_the_others() -> None:
    """Personal columns stand among the numbers and the codes of an answer, before columns that are stored."""
    record = good_record(CONTRACT)
    for contract in (with_personal("Gender", "Sleep Hours", "Designation"), hashed("Gender", "Sleep Hours", "Designation")):
        [stored] = by_interfaces(contract, record, None)
        assert stored == {name: record[name] for name in contract.feature_names if name not in {"Gender", "Sleep Hours", "Designation"}}


def test_without_the_hash_the_columns_are_left_out_and_never_stored_as_they_are() -> None:
    record = {**good_record(CONTRACT), "Gender": "Female", "Sleep Hours": 6}
    [stored] = score(fitted("logistic_regression"), CONTRACT, [Entry("1-0", encode("employees", "champion", [record]))]).block.records
    assert NAMES.isdisjoint(stored)
    assert NAMES.isdisjoint(feature.name for feature in describe_features(CONTRACT))


def test_another_word_is_refused() -> None:
    contract = employees().model_dump(exclude_unset=True)
    contract["columns"]["Gender"]["personal"] = "hashed"
    with pytest.raises(ValueError, match="personal"):
        Contract.model_validate(contract)
