"""What data/heart says of the real file is so."""

from hearth.contracts import load_contract
from hearth.data.cleaning import DUPLICATE, clean
from hearth.data.csv_validation import read_raw, validate
from tests.support.real_files import require_real_file
from tests.support.samples import ROOT

HEART = load_contract("heart", ROOT / "data")


def test_every_row_of_the_real_file_keeps_the_contract_and_723_are_copies_of_others() -> None:
    path = require_real_file("heart")

    validated = validate(HEART, read_raw(HEART, path.read_bytes(), path.name))

    assert validated.rejected["reason"].tolist() == []
    assert len(validated.accepted) == 1_025
    cleaned = clean(HEART, validated.accepted)
    assert {reason: count for reason, count in cleaned.dropped.items() if count} == {DUPLICATE: 723}
    assert cleaned.frame[HEART.target.column].value_counts().to_dict() == {0: 138, 1: 164}
