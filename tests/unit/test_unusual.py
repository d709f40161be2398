"""What is unlike the train set: fitting, scores, machine code, and the file that keeps it."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from hearth.contracts import Contract, load_contract
from hearth.contracts.examples import random_columns
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.data.cleaning import Split, clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.errors import RefusedModel
from hearth.fakes import FakeRecords
from hearth.modelling.unusual import MOST_BINS, Unusual
from hearth.modelling.unusual_fit import fit_unusual
from hearth.serving.compiled.unusual_kernel import UnusualScorer
from tests.support.contracts import DATA
from tests.support.real_files import require_real_file

STRANGE = {"Sleep Hours": 12.0, "Team Size": 50.0, "Recognition Frequency": 15.0}
ADAPTER = TypeAdapter(Unusual)


def split_of(contract: Contract, content: bytes) -> Split:
    return split(contract, clean(contract, validate(contract, read_raw(contract, content, "test")).accepted).frame)


@cache
def fitted(dataset: str) -> tuple[Contract, Split, Unusual]:
    contract = load_contract(dataset, DATA)
    rows = {"employees": 5_000, "heart": 302, "covertype": 5_000}[dataset]
    parts = split_of(contract, FakeRecords.load(contract, DATA).frame(rows, 3).to_csv(index=False).encode())
    return contract, parts, fit_unusual(contract, parts.X_train)


def scorer_of(dataset: str) -> UnusualScorer:
    contract, _, unusual = fitted(dataset)
    return UnusualScorer(unusual, contract)


def planted(contract: Contract, columns: Columns, values: dict[str, float]) -> Columns:
    numbers = columns.numbers.copy()
    for name, value in values.items():
        numbers[:, contract.numeric_features.index(name)] = value
    return Columns(numbers, columns.codes)


def test_copies_of_rows_do_not_make_others_unusual() -> None:
    contract, parts, _ = fitted("employees")
    copies = parts.X_train.iloc[np.repeat(np.arange(200), 8)].reset_index(drop=True)
    unusual = fit_unusual(contract, copies)

    assert (unusual.raw_scores(RecordParser(contract).from_frame(parts.X_test)) > unusual.threshold).mean() <= 0.02


def test_rows_that_are_all_equal_can_be_learnt_from() -> None:
    contract, parts, _ = fitted("heart")

    assert fit_unusual(contract, parts.X_train.iloc[[0] * 12].reset_index(drop=True)).rows == 12


@pytest.mark.parametrize("dataset", ["employees", "heart", "covertype"])
class TestEveryDataSet:
    def test_machine_code_scores_as_numpy_does(self, dataset: str) -> None:
        contract, parts, unusual = fitted(dataset)
        for columns in (RecordParser(contract).from_frame(parts.X_test), random_columns(contract, 500, missing_share=0.4)):
            np.testing.assert_allclose(scorer_of(dataset).raw_scores(columns), unusual.raw_scores(columns), rtol=1e-9, atol=1e-9)

    def test_few_held_out_rows_are_unusual(self, dataset: str) -> None:
        contract, parts, _ = fitted(dataset)
        assert scorer_of(dataset).scores(RecordParser(contract).from_frame(parts.X_test))[1].mean() <= 0.02

    def test_the_file_holds_all_of_it(self, dataset: str) -> None:
        content = ADAPTER.dump_json(fitted(dataset)[2])
        assert ADAPTER.validate_json(content) == fitted(dataset)[2]
        assert len(content) < 50_000

    def test_a_record_costs_no_error_when_all_that_may_be_missing_is(self, dataset: str) -> None:
        records = scorer_of(dataset).records(random_columns(fitted(dataset)[0], 50, missing_share=1.0))
        assert all(0 <= record.score <= 1 for record in records)


class TestWhatIsUnusual:
    def test_a_record_far_from_all_is_named_with_the_ranges_seen(self) -> None:
        contract, parts, _ = fitted("employees")
        columns = planted(contract, RecordParser(contract).from_frame(parts.X_test.head(200)), STRANGE)
        records = scorer_of("employees").records(columns)
        assert all(record.unusual and record.score > 0.99 for record in records)
        assert {column.name for column in records[0].columns} == set(STRANGE)
        for column in records[0].columns:
            assert column.value == STRANGE[column.name]
            assert column.low is not None
            assert column.high is not None
            assert not column.low <= column.value <= column.high

    def test_the_same_record_is_unusual_on_the_real_extract(self) -> None:
        contract = load_contract("employees", DATA)
        parts = split_of(contract, require_real_file("employees").read_bytes())
        scorer = UnusualScorer(fit_unusual(contract, parts.X_train), contract)
        columns = RecordParser(contract).from_frame(parts.X_test)
        assert scorer.scores(planted(contract, columns, STRANGE))[1].all()
        assert scorer.scores(columns)[1].mean() <= 0.01

    def test_values_that_do_not_go_together_are_named(self) -> None:
        contract, parts, _ = fitted("employees")
        rng = np.random.default_rng(0)
        columns = RecordParser(contract).from_frame(parts.X_test)
        numbers = np.column_stack([rng.permutation(column) for column in columns.numbers.T])
        records = [record for record in scorer_of("employees").records(Columns(numbers, columns.codes)) if record.unusual]
        assert len(records) > 0.5 * len(columns)
        assert any(record.combinations for record in records)
        for record in records:
            assert not {name for pair in record.combinations for name in pair} & {column.name for column in record.columns}

    def test_a_category_that_was_never_seen_is_named_with_its_share(self) -> None:
        contract, parts, _ = fitted("heart")
        name, texts = next(iter(contract.categorical_features.items()))
        frame = parts.X_train[parts.X_train[name] == texts[0]]
        scorer = UnusualScorer(fit_unusual(contract, frame), contract)
        columns = RecordParser(contract).from_frame(parts.X_train[parts.X_train[name] == texts[1]].head(1))
        [record] = scorer.records(columns)
        [column] = [column for column in record.columns if column.name == name]
        assert (column.value, column.share, column.low) == (texts[1], 0.0, None)

    def test_of_many_columns_the_work_grows_with_their_number_and_twenty_are_named(self) -> None:
        numbers = {f"n{place}": {"kind": "number", "minimum": 0, "maximum": 100, "unit": "u", "description": "d"} for place in range(150)}
        content = load_contract("employees", DATA).model_dump(include={"name", "title", "description", "source", "metric", "families"})
        target = {"column": "class", "classes": ["a", "b"]}
        classes = {"class": {"kind": "category", "categories": ["a", "b"], "description": "d"}}
        contract = Contract.model_validate({**content, "target": target, "columns": {**numbers, **classes}})
        rng = np.random.default_rng(0)
        unusual = fit_unusual(contract, pd.DataFrame(rng.normal(50, 5, (300, 150)), columns=list(numbers)))
        scorer, columns = UnusualScorer(unusual, contract), Columns(rng.uniform(0, 100, (40, 150)), np.empty((40, 0), np.intp))

        assert unusual.precision == ()
        assert scorer._tables[-1].size == 0  # no matrix to multiply by
        np.testing.assert_allclose(scorer.raw_scores(columns), unusual.raw_scores(columns), rtol=1e-9)
        assert {len(record.columns) for record in scorer.records(columns)} == {20}

    def test_the_same_rows_give_the_same_file(self) -> None:
        contract, parts, unusual = fitted("heart")
        assert fit_unusual(contract, parts.X_train) == unusual

    def test_a_column_without_values_and_one_with_a_single_value_can_be_learnt_from(self) -> None:
        contract, parts, _ = fitted("employees")
        frame = parts.X_train.head(50).assign(**{"Sleep Hours": np.nan, "Team Size": 7.0})
        scorer = UnusualScorer(fit_unusual(contract, frame), contract)
        assert np.isfinite(scorer.raw_scores(RecordParser(contract).from_frame(parts.X_test))).all()

    def test_one_row_is_too_few(self) -> None:
        contract, parts, _ = fitted("heart")
        with pytest.raises(ValueError, match="from 1 rows"):
            fit_unusual(contract, parts.X_train.head(1))


class TestAFileThatIsWrong:
    """Machine code reads the tables by positions, so a wrong one must be refused before it does."""

    def changed(self, *path: str | int, value: object) -> bytes:
        content = ADAPTER.dump_python(fitted("heart")[2], mode="json")
        part = content
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
        return TypeAdapter(object).dump_json(content)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("columns", 0, "cuts"), [3.0, 1.0]),
            (("columns", 0, "surprise"), [0.0]),
            (("columns", 0, "std"), 0),
            (("columns", 0, "mean"), "NaN"),
            (("columns", 0, "high"), 1e300),
            (("columns", 0, "kind"), "category"),
            (("columns", 5, "bin_of"), [0, MOST_BINS]),
            (("columns", 5, "bin_of"), [0, -1]),
            (("columns", 5, "surprise"), [0.0] * 9),
            (("columns", 5, "shares"), []),
            (("dependences", 0, "first"), 13),
            (("dependences", 0, "second"), -1),
            (("dependences", 0, "surprise"), [0.0]),
            (("precision",), [1.0] * 24),
            (("quantiles",), [1.0, 0.0]),
            (("threshold",), None),
            (("rows",), 0),
            (("columns",), []),
        ],
    )
    def test_is_refused(self, path: tuple[str | int, ...], value: object) -> None:
        with pytest.raises(ValidationError):
            ADAPTER.validate_json(self.changed(*path, value=value))

    def test_numbers_behind_categories_are_refused(self) -> None:
        content = ADAPTER.dump_python(fitted("heart")[2], mode="json")
        content["columns"] = content["columns"][::-1]
        with pytest.raises(ValidationError, match="before the categories"):
            ADAPTER.validate_json(TypeAdapter(object).dump_json(content))

    def test_tables_of_another_contract_are_refused(self) -> None:
        with pytest.raises(RefusedModel, match="other columns than the contract of 'employees'"):
            fitted("heart")[2].require_contract(fitted("employees")[0], "models:/employees/3")
        fitted("heart")[2].require_contract(fitted("heart")[0], "models:/heart/1")
