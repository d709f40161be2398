"""What data/heart says of the real file is so."""

import pytest

from hearth.contracts import load_contract
from hearth.data.cleaning import DUPLICATE, clean
from hearth.data.csv_validation import read_raw, validate
from hearth.fakes import real_file
from tests.support.samples import REAL_HEART, ROOT

HEART = load_contract("heart", ROOT / "data")


def test_every_row_of_the_real_file_keeps_the_contract_and_723_are_copies_of_others() -> None:
    path = real_file(HEART, ROOT / "data") or REAL_HEART
    if not path.exists():
        pytest.skip(f"the real file is neither in {ROOT / 'data/heart'} nor at {path}")

    validated = validate(HEART, read_raw(HEART, path.read_bytes(), path.name))

    assert validated.rejected["reason"].tolist() == []
    assert len(validated.accepted) == 1_025
    cleaned = clean(HEART, validated.accepted)
    assert {reason: count for reason, count in cleaned.dropped.items() if count} == {DUPLICATE: 723}
    assert cleaned.frame[HEART.target.column].value_counts().to_dict() == {0: 138, 1: 164}
