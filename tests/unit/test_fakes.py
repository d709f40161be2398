"""Fake rows keep the contract, follow the statistics, and are as good to learn from as the real ones."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.contracts import (
    CategoryColumn,
    Contract,
    DateColumn,
    IdentifierColumn,
    IntegerColumn,
    NumberColumn,
    list_contracts,
    load_contract,
)
from hearth.contracts.records import check_records
from hearth.data.cleaning import clean, target_codes
from hearth.errors import InvalidStatistics
from hearth.fakes import FakeRecords, raw_file
from hearth.modelling.features import build_features
from tests.support.real_files import require_real_file

DATA = Path(__file__).parents[2] / "data"
CONTRACTS = list_contracts(DATA)
CONTRACT = load_contract("employees", DATA)
STATISTICS = DATA / "employees" / "statistics.json"
REGIME = {  # what holds at a Burn Rate of 0.40 and below, and above
    "Work Hours per Week": ((35, 44), (48, 59)),
    "Work-Life Balance Score": ((3, 5), (1, 2)),
    "Manager Support Score": ((3, 5), (1, 3)),
    "Deadline Pressure Score": ((1, 3), (4, 5)),
    "Recognition Frequency": ((2, 5), (0, 1)),
}


@cache
def fakes() -> FakeRecords:
    return FakeRecords.load(CONTRACT, DATA)


@cache
def fakes_of(dataset: str) -> FakeRecords:
    return FakeRecords.load(load_contract(dataset, DATA), DATA)


@cache
def many() -> pd.DataFrame:
    return fakes().frame(40_000, seed=3)


@cache
def real() -> pd.DataFrame:
    return pd.read_csv(require_real_file("employees"))


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    first = fakes().frame(200, seed=5)

    pd.testing.assert_frame_equal(first, FakeRecords.load(CONTRACT, DATA).frame(200, seed=5))
    assert not first.equals(fakes().frame(200, seed=6))


def test_records_are_the_features_of_the_same_rows() -> None:
    frame, records = fakes().frame(100, seed=9), fakes().records(100, seed=9)

    features = frame[list(CONTRACT.feature_names)].astype("object")
    assert records == features.where(features.notna(), None).to_dict("records")


def test_whole_numbers_are_int_and_missing_values_are_none_in_a_record() -> None:
    records = fakes().records(500, seed=1)

    assert {type(record["Designation"]) for record in records} == {int}
    assert {type(record["Resource Allocation"]) for record in records} == {float, type(None)}
    assert {type(record["Gender"]) for record in records} == {str}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(rows=st.integers(0, 60), seed=st.integers(0, 2**63))
def test_a_frame_keeps_the_contract_whatever_the_seed(contract: Contract, rows: int, seed: int) -> None:
    frame = fakes_of(contract.name).frame(rows, seed)

    assert list(frame.columns) == list(contract.columns)
    assert len(frame) == rows
    for name, column in contract.columns.items():
        known = frame[name].dropna()
        assert column.nullable or len(known) == rows
        if isinstance(column, CategoryColumn):
            assert set(known) <= set(column.categories)
        elif isinstance(column, IdentifierColumn):
            assert all(re.fullmatch("[0-9a-f]+", value) for value in known)
        elif isinstance(column, DateColumn):
            assert all(re.fullmatch(r"2008-\d\d-\d\d", value) for value in known)
        else:
            assert known.between(column.minimum, column.maximum).all()
        if isinstance(column, IntegerColumn):
            assert frame[name].dtype == ("Int64" if column.nullable else "int64")
        if isinstance(column, NumberColumn):
            assert np.array_equal(known, known.round(2))
    rows_with_target = frame[contract.target.column].notna()
    raw = frame[rows_with_target].astype("object")
    assert len(check_records(contract, raw.where(raw.notna(), None).to_dict("records"))) == rows_with_target.sum()


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_every_class_is_drawn_and_a_model_finds_it_again(contract: Contract) -> None:
    lightgbm, metrics = pytest.importorskip("lightgbm"), pytest.importorskip("sklearn.metrics")
    frame = fakes_of(contract.name).frame(6_000, seed=8)
    for name in contract.categorical_features:
        frame[name] = frame[name].map(str, na_action="ignore").astype("str")
    frame = clean(contract, frame).frame
    codes = target_codes(contract, frame[contract.target.column])
    made = build_features(contract).fit_transform(frame)
    train, test = np.arange(len(made)) % 3 > 0, np.arange(len(made)) % 3 == 0

    model = lightgbm.LGBMClassifier(n_estimators=40, num_leaves=10, class_weight="balanced", n_jobs=1, verbose=-1)
    predicted = model.fit(made[train], codes[train]).booster_.predict(made[test])

    positions = predicted.argmax(axis=1) if predicted.ndim > 1 else (predicted > 0.5).astype(int)
    score = metrics.f1_score(codes[test], positions, average="macro")
    assert set(codes) == set(range(len(contract.target.classes)))
    assert score > 0.5


def test_a_written_file_reads_back_as_the_same_frame(tmp_path: Path) -> None:
    written = raw_file(CONTRACT, _without_real(tmp_path), tmp_path, rows=300, seed=4)

    assert not written.real
    assert written.path == tmp_path / "data" / "employees" / CONTRACT.source.file
    assert [path.name for path in written.path.parent.iterdir()] == [CONTRACT.source.file]
    read = pd.read_csv(written.path, dtype={"Employee ID": "str"})
    pd.testing.assert_frame_equal(read, fakes().frame(300, seed=4))


def test_a_real_file_is_used_instead_and_not_touched(tmp_path: Path) -> None:
    data = _without_real(tmp_path)
    dropped = data / "employees" / CONTRACT.source.file
    dropped.write_text("real", "utf-8")

    found = raw_file(CONTRACT, data, tmp_path / "state", rows=10, seed=1)

    assert (found.path, found.real) == (dropped, True)
    assert dropped.read_text("utf-8") == "real"
    assert not (tmp_path / "state").exists()


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _without_real(tmp_path)
    old = raw_file(CONTRACT, data, tmp_path, rows=10, seed=1).path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(OSError, match="No space left"):
        raw_file(CONTRACT, data, tmp_path, rows=10, seed=2)

    [path] = (tmp_path / "data" / "employees").glob(f"*{CONTRACT.source.file}*")
    assert path.read_bytes() == old
    assert not list((tmp_path / "data" / "employees").glob("*.part"))


@pytest.mark.parametrize("name", REGIME)
def test_the_columns_that_change_at_a_burn_rate_of_0_40_change_there(name: str) -> None:
    (low, high), (low_above, high_above) = REGIME[name]
    burn = many()["Burn Rate"]

    assert many().loc[burn <= 0.40, name].between(low, high).all()
    assert many().loc[burn > 0.40, name].between(low_above, high_above).all()


def test_the_marginals_of_each_stratum_are_those_of_the_statistics() -> None:
    frame = many()
    for stratum in json.loads(STATISTICS.read_text("utf-8"))["strata"]:
        burn = frame["Burn Rate"]
        rows = frame[burn.isna() if stratum["target"] is None else burn.between(*stratum["target"])]
        for name in ("Gender", "Work Hours per Week", "Resource Allocation", "Designation"):
            drawn = rows[name].dropna().map(lambda value: value if isinstance(value, str) else f"{value:.0f}").value_counts(normalize=True)
            wanted = stratum["marginals"][name]
            assert set(drawn.index) <= set(wanted)
            assert max(abs(drawn.get(value, 0) - share) for value, share in wanted.items()) < 0.06
        for name, share in stratum["missing"].items():
            assert abs(rows[name].isna().mean() - share) < 0.03
        quantiles = stratum["marginals"]["Sleep Hours"]
        if isinstance(quantiles, list):
            assert abs(rows["Sleep Hours"].median() - quantiles[len(quantiles) // 2]) < 0.15


def test_resources_fatigue_and_burn_rate_depend_on_each_other_as_they_should() -> None:
    columns = ["Designation", "Resource Allocation", "Mental Fatigue Score", "Burn Rate"]
    found = many()[columns].corr("spearman").to_numpy()

    assert found[2, 3] == pytest.approx(0.94, abs=0.02)
    assert found[1, 3] == pytest.approx(0.85, abs=0.03)
    assert found[0, 1] == pytest.approx(0.87, abs=0.03)


def test_identifiers_do_not_repeat_and_have_the_lengths_of_the_statistics() -> None:
    identifiers = many()["Employee ID"]

    assert identifiers.is_unique
    assert set(identifiers.str.len()) == {12, 16, 20, 24}


def test_rows_are_not_made_one_by_one() -> None:
    fakes().records(10, seed=0)
    called: Counter[str] = Counter()
    sys.setprofile(lambda _, event, __: called.update([event]))
    try:
        fakes().records(20_000, seed=0)
    finally:
        sys.setprofile(None)

    assert called["call"] < 20_000  # a stream needs many rows a second


Change = Callable[[dict[str, Any]], object]


def _drop(mapping: dict[str, Any], key: str) -> None:
    del mapping[key]


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        (lambda s: s["about"].update(dataset="heart"), "about.dataset", "is 'heart', but the data set is 'employees'"),
        (lambda s: s["about"].update(rows=5), "about.rows", "greater than or equal to 100"),
        (lambda s: s.update(extra=1), "extra", "Extra inputs are not permitted"),
        (lambda s: _drop(s, "strata"), "strata", "Field required"),
        (lambda s: s.update(strata=[]), "strata", "at least 1 item"),
        (lambda s: _drop(s["columns"], "Gender"), "columns", "differing: 'Gender'"),
        (lambda s: s["columns"]["Employee ID"].update(lengths={}), "columns.Employee ID.lengths", "share of each length"),
        (lambda s: s["columns"]["Employee ID"].update(lengths={"x": 1}), "columns.Employee ID.lengths", "share of each length"),
        (lambda s: s["columns"]["Sleep Hours"].update(decimals=-1), "columns.Sleep Hours.decimals", "greater than or equal to 0"),
        (lambda s: s["strata"][2].update(rows=99), "strata.2.rows", "greater than or equal to 100"),
        (lambda s: _drop(s["strata"][2]["marginals"], "Team Size"), "strata.2.marginals", "differing: 'Team Size'"),
        (lambda s: s["strata"][2].update(target=None), "strata.2.marginals", "differing: 'Burn Rate'"),
        (
            lambda s: s["strata"][0]["marginals"].update(Gender={"Female": 0.5, "Other": 0.5}),
            "strata.0.marginals.Gender",
            "'Other' is not one of",
        ),
        (lambda s: s["strata"][0]["marginals"].update(Gender={"Female": 0.5, "Male": 0.2}), "strata.0.marginals.Gender", "a sum of 0.7"),
        (lambda s: s["strata"][0]["marginals"].update(Gender={"Female": 1.5, "Male": -0.5}), "strata.0.marginals.Gender", "0 or more"),
        (lambda s: s["strata"][0]["marginals"].update(Gender={}), "strata.0.marginals.Gender", "add up to 1"),
        (lambda s: s["strata"][0]["marginals"].update(Gender=["Female", "Male"]), "strata.0.marginals.Gender", "shares, not quantiles"),
        (lambda s: s["strata"][0]["marginals"].update(Designation={"6": 1}), "strata.0.marginals.Designation", "'6' is not a whole number"),
        (lambda s: s["strata"][0]["marginals"].update(Designation={"2.5": 1}), "strata.0.marginals.Designation", "'2.5' is not a whole"),
        (lambda s: s["strata"][0]["marginals"].update(Designation={"two": 1}), "strata.0.marginals.Designation", "'two'"),
        (lambda s: s["strata"][0]["marginals"].update({"Sleep Hours": [7, 6]}), "strata.0.marginals.Sleep Hours", "must not fall"),
        (lambda s: s["strata"][0]["marginals"].update({"Sleep Hours": [7]}), "strata.0.marginals.Sleep Hours", "two or more"),
        (lambda s: s["strata"][0]["marginals"].update({"Sleep Hours": [7, 25]}), "strata.0.marginals.Sleep Hours", "25.0 is not a number"),
        (
            lambda s: s["strata"][0]["marginals"].update({"Date of Joining": ["2008-01-01", "2008-02-31"]}),
            "strata.0.marginals.Date of Joining",
            "day",
        ),
        (lambda s: s["strata"][0].update(missing={"Team Size": 0.1}), "strata.0.missing.Team Size", "no nullable column"),
        (lambda s: s["strata"][0].update(missing={"Burn Rate": 0.1}), "strata.0.missing.Burn Rate", "stratum of its own"),
        (
            lambda s: s["strata"][0]["missing"].update({"Resource Allocation": 1.2}),
            "strata.0.missing.Resource Allocation",
            "between 0 and 1",
        ),
        (
            lambda s: s["strata"][0].update(dependence={"Gender": {"Salary": 0.1}}),
            "strata.0.dependence.Gender.Salary",
            "two different variables",
        ),
        (
            lambda s: s["strata"][0].update(dependence={"Gender": {"Gender": 0.1}}),
            "strata.0.dependence.Gender.Gender",
            "two different variables",
        ),
        (
            lambda s: s["strata"][0].update(dependence={"Gender": {"Team Size": 0.1}, "Team Size": {"Gender": 0.1}}),
            "strata.0.dependence.Gender.Team Size",
            "given twice",
        ),
        (
            lambda s: s["strata"][0].update(dependence={"Gender": {"Team Size": 1}}),
            "strata.0.dependence.Gender.Team Size",
            "between -1 and 1",
        ),
        (
            lambda s: s["strata"][0].update(
                dependence={"Gender": {"Team Size": 0.9, "Designation": 0.9}, "Team Size": {"Designation": -0.9}},
            ),
            "strata.0.dependence",
            "contradict each other",
        ),
    ],
)
def test_statistics_with_a_mistake_are_refused_with_file_key_and_reason(tmp_path: Path, change: Change, key: str, reason: str) -> None:
    statistics = json.loads(STATISTICS.read_text("utf-8"))
    change(statistics)
    path = _written(tmp_path, json.dumps(statistics).encode())

    with pytest.raises(InvalidStatistics) as caught:
        FakeRecords.load(CONTRACT, tmp_path)

    assert (caught.value.path, caught.value.key) == (path, key)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("content", "key", "reason"),
    [
        (b"", "line 1", "not JSON"),
        (b'{"about": 1,\n}', "line 2", "not JSON"),
        (b"[]", "the file", "valid dictionary"),
        (b"\x89PNG\xff", "the file", "can't decode"),
        (b'{"about": {}, "about": {}}', "the file", "a key is written twice: 'about'"),
        (b'{"about": NaN}', "the file", "NaN is not a number"),
        (b'{"about": ' + b"[" * 100_000, "the file", "nested too deeply"),
    ],
)
def test_what_is_no_statistics_file_is_refused(tmp_path: Path, content: bytes, key: str, reason: str) -> None:
    _written(tmp_path, content)

    with pytest.raises(InvalidStatistics) as caught:
        FakeRecords.load(CONTRACT, tmp_path)

    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_data_set_without_statistics_says_how_to_measure_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidStatistics, match=r"does not exist: measure it with utils/measure_statistics\.py"):
        FakeRecords.load(CONTRACT, tmp_path)


def test_the_statistics_of_this_repository_hold_no_small_groups() -> None:
    text = STATISTICS.read_text("utf-8")
    statistics = json.loads(text)

    assert len(text) < 60_000
    for stratum in statistics["strata"]:
        assert stratum["rows"] >= 100
        for marginal in stratum["marginals"].values():
            if isinstance(marginal, dict):
                assert min(marginal.values()) * stratum["rows"] > 9


def test_a_model_that_saw_only_fake_rows_does_well_on_the_real_extract() -> None:
    """Macro-F1 of at least 0.80; trained on real rows it is about 0.86."""
    lightgbm = pytest.importorskip("lightgbm")
    metrics = pytest.importorskip("sklearn.metrics")
    test = clean(CONTRACT, real()).frame
    train = clean(CONTRACT, pd.read_csv(StringIO(many().head(15_000).to_csv(index=False)))).frame
    features = build_features(CONTRACT).fit(train)

    model = lightgbm.LGBMClassifier(n_estimators=150, learning_rate=0.05, num_leaves=10, n_jobs=1, verbose=-1)
    model.fit(features.transform(train), target_codes(CONTRACT, train["Burn Rate"]))
    predicted = model.booster_.predict(features.transform(test)).argmax(axis=1)

    assert metrics.f1_score(target_codes(CONTRACT, test["Burn Rate"]), predicted, average="macro") >= 0.80


def test_fake_rows_are_like_the_rows_of_the_real_extract() -> None:
    numeric = [name for name, column in CONTRACT.columns.items() if isinstance(column, IntegerColumn | NumberColumn)]

    differences = many()[numeric].corr("spearman").to_numpy() - real()[numeric].corr("spearman").to_numpy()
    assert np.abs(differences).max() < 0.05
    assert (many()[numeric].isna().mean() - real()[numeric].isna().mean()).abs().max() < 0.01
    both = [frame[["Resource Allocation", "Mental Fatigue Score"]].isna().all(axis=1).mean() for frame in (many(), real())]
    assert both[0] == pytest.approx(both[1], abs=0.003)
    assert set(many()["Employee ID"]).isdisjoint(real()["Employee ID"])


def _written(data_dir: Path, content: bytes) -> Path:
    path = data_dir / "employees" / "statistics.json"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def _without_real(folder: Path) -> Path:
    """A data folder with the statistics and nothing else."""
    copy = folder / "copy"
    copy.mkdir()
    _written(copy, STATISTICS.read_bytes())
    return copy
