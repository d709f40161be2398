"""What a source answers, from HTTP to the rows of a table."""

from collections.abc import Sequence

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.embedded import temporary_servers
from hearth.contracts import Column, Contract
from hearth.data import csv_validation
from hearth.data.ingest import Batch, BatchApi, Exhausted, parse_batch
from hearth.data.ingest.batches import texts_of, typed_rows
from hearth.errors import IngestError, InvalidBatch, SourceRefused, SourceUnavailable
from tests.support.sources import Answer, batch_body, scripted
from tests.training.batch_rows import lists


class TestAnswers:
    def test_rows_may_be_lists_or_objects(self, contract: Contract) -> None:
        rows = lists(contract, 3)
        objects = [dict(reversed(list(zip(contract.columns, row, strict=True)))) for row in rows]

        as_lists = parse_batch(contract, batch_body(4, 7, rows), "the source")
        as_objects = parse_batch(contract, batch_body(4, 7, objects), "the source")

        assert as_lists == as_objects == Batch(4, 7, tuple(tuple(row) for row in rows))

    def test_numbers_and_null_become_the_texts_that_a_file_would_hold(self, contract: Contract) -> None:
        row: list[object] = [*lists(contract, 1)[0]]
        row[:4] = [None, 5, 0.1, True]

        [texts] = parse_batch(contract, batch_body(1, 1, [row]), "the source").rows

        assert texts[:4] == ("", "5", "0.1", "true")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "EOF"),
            (b"<html>", "expected value"),
            (b'{"group_number": 1, "batch_number": 1, "data": [["a"', "EOF"),
            (b"[]", "dictionary"),
            (b'{"group_number": 1, "batch_number": 1, "data": [{"a": 1, "a": 2}]}', 'the answer has the key "a" twice'),
            (b'{"group_number": 1, "data": [[]]}', "batch_number: Field required"),
            (b'{"group_number": "1", "batch_number": 1, "data": [[]]}', "group_number: Input should be a valid integer"),
            (b'{"group_number": 1, "batch_number": 1, "data": []}', "data: List should have at least 1 item"),
            (b'{"group_number": 1, "batch_number": 1, "data": ["text"]}', r"data\.0"),
            (b'{"group_number": 1, "batch_number": 1, "data": [["\\ud800"]]}', "surrogate|hex escape"),
        ],
    )
    def test_what_is_no_batch_is_refused_with_the_place(self, contract: Contract, content: bytes, reason: str) -> None:
        with pytest.raises(InvalidBatch, match=rf"the source is no batch: .*({reason})"):
            parse_batch(contract, content, "the source")

    def test_another_number_of_values_is_refused_with_the_columns(self, contract: Contract) -> None:
        rows = lists(contract, 3)
        rows[1].pop()

        with pytest.raises(
            InvalidBatch, match=rf"the source, row 1: {len(contract.columns) - 1} values, expected {len(contract.columns)}: '"
        ):
            parse_batch(contract, batch_body(1, 1, rows), "the source")

    def test_other_columns_are_refused_by_name(self, contract: Contract) -> None:
        row = dict(zip(contract.columns, lists(contract, 1)[0], strict=True))
        first = next(iter(contract.columns))
        row["new"] = row.pop(first)

        with pytest.raises(InvalidBatch, match=f"row 0: columns are missing: '{first}'; columns are not in the contract: 'new'"):
            parse_batch(contract, batch_body(1, 1, [row]), "the source")

    def test_a_character_that_no_table_holds_is_refused(self, contract: Contract) -> None:
        [row] = lists(contract, 1)
        row[0] = "a\0b"

        with pytest.raises(InvalidBatch, match="is no text"):
            parse_batch(contract, batch_body(1, 1, [row]), "the source")

    def test_a_batch_of_which_too_much_breaks_the_contract_is_refused_with_reasons(self, contract: Contract) -> None:
        rows = [list(reversed(row)) for row in lists(contract, 10)]

        with pytest.raises(InvalidBatch, match=r"batch 1 of group 1: 10 of 10 rows break the contract, which tolerates 5\.0%.* row 0: "):
            typed_rows(contract, Batch(1, 1, tuple(tuple(row) for row in rows)))

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_what_goes_into_the_table_comes_out_as_the_etl_would_have_read_it(self, data: st.DataObject) -> None:
        """Values in many forms: the frames that the ETL makes of the export are those that it would have made of what came."""
        rows = data.draw(st.lists(st.tuples(*map(forms, TOLERANT.columns.values())), min_size=1, max_size=5))

        out = [texts_of(row) for row in typed_rows(TOLERANT, Batch(1, 1, tuple(rows)))]

        for found, expected in zip(as_frames(out), as_frames(rows), strict=True):
            pd.testing.assert_frame_equal(found, expected, check_exact=True)


TOLERANT = Contract.model_validate(
    {
        "name": "tiny",
        "title": "A column of each kind",
        "description": "Whose rows may all break it",
        "source": {"kind": "batches", "table": "tiny", "file": "tiny.csv"},
        "target": {"column": "Level", "cuts": [2], "classes": ["low", "high"]},
        "metric": "accuracy",
        "families": ["knn"],
        "drop": ["Key", "Day"],
        "cleaning": {"max_rejected_share": 1},
        "columns": {
            "Key": {"kind": "identifier", "description": "a text"},
            "Day": {"kind": "date", "description": "a day", "nullable": True},
            "Colour": {"kind": "category", "description": "a word", "categories": ["red", "NA", "a,b"], "nullable": True},
            "Level": {"kind": "integer", "description": "whole", "minimum": -5, "maximum": 10**15, "unit": "m", "nullable": True},
            "Weight": {"kind": "number", "description": "real", "minimum": -1e300, "maximum": 1e300, "unit": "kg", "nullable": True},
        },
    }
)


def forms(column: Column) -> st.SearchStrategy[str]:
    """Texts that a column may get: mostly right ones, in several ways of writing, and now and then any other."""
    anything = st.sampled_from(["", "NA", "null", " ", "abc", "1e999", "1_0", "٣", "2008-13-01", '"', "a\nb", "None"]) | st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5
    )
    match column.kind:
        case "identifier":
            right = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
        case "date":
            right = st.dates().map(str)
        case "category":
            right = st.sampled_from(["red", "NA", "a,b", " red "])
        case "integer":
            right = st.integers(-5, 10**15).map(str) | st.sampled_from(["5.0", "+5", " 5 ", "05", "5e0", "-0"])
        case _:
            right = st.floats(-1e300, 1e300).map(repr) | st.integers(-9, 9).map(str) | st.sampled_from([".5", "5.", "1E3"])
    return st.integers(0, 9).flatmap(lambda chosen: right if chosen else anything)


def as_frames(rows: Sequence[Sequence[str]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    validated = csv_validation.validate(TOLERANT, csv_validation.RawTable.of(TOLERANT, rows))
    return validated.accepted, validated.rejected


class TestApi:
    def test_a_batch_is_fetched_for_the_group_of_the_contract(self, contract: Contract) -> None:
        rows = lists(contract, 2)
        with scripted(Answer(200, batch_body(3, 5, rows))) as source:
            found = BatchApi(source.url, contract, "/data", 3).fetch()

        assert found == Batch(3, 5, tuple(tuple(row) for row in rows))
        assert source.paths == ["/data?group_number=3"]

    def test_a_source_that_has_given_all_says_so(self, contract: Contract) -> None:
        with scripted(Answer(400, b'{"detail": "all collected"}')) as source:
            assert BatchApi(source.url, contract, "/data", 1).fetch() == Exhausted("400: all collected")

    def test_a_source_that_is_away_is_named_with_its_setting(self, contract: Contract) -> None:
        with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:\d+/data\?group_number=1 does not answer.*HEARTH_BATCH_API_URL"):
            BatchApi(f"http://127.0.0.1:{temporary_servers.free_port()}", contract, "/data", 1).fetch()

    def test_an_answer_that_is_cut_off_is_no_batch(self, contract: Contract) -> None:
        body = batch_body(1, 1, lists(contract, 5))
        with (
            scripted(Answer(200, body[: len(body) // 2], claimed=len(body))) as source,
            pytest.raises(SourceUnavailable, match="to the end"),
        ):
            BatchApi(source.url, contract, "/data", 1).fetch()

    def test_a_source_that_is_silent_is_not_waited_for_without_end(self, contract: Contract) -> None:
        with scripted(Answer(200, b"{", claimed=100, stays_silent=True)) as source, pytest.raises(SourceUnavailable, match=r"ReadTimeout"):
            BatchApi(source.url, contract, "/data", 1, timeout_seconds=0.2).fetch()

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (500, SourceUnavailable),
            (503, SourceUnavailable),
            (429, SourceUnavailable),
            (404, SourceRefused),
            (401, SourceRefused),
            (304, SourceRefused),
        ],
    )
    def test_errors_that_pass_are_told_from_those_that_do_not(self, contract: Contract, status: int, error: type[IngestError]) -> None:
        with scripted(Answer(status, b"")) as source, pytest.raises(error, match=str(status)):
            BatchApi(source.url, contract, "/data", 1).fetch()

    def test_an_address_that_is_none_is_refused(self, contract: Contract) -> None:
        with pytest.raises(SourceRefused, match="HEARTH_BATCH_API_URL"):
            BatchApi("batches", contract, "/data", 1).fetch()

    def test_the_batch_of_another_group_is_refused(self, contract: Contract) -> None:
        with scripted(Answer(200, batch_body(2, 1, lists(contract, 1)))) as source, pytest.raises(InvalidBatch, match="expected group 1"):
            BatchApi(source.url, contract, "/data", 1).fetch()
