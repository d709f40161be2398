"""The page's form is made from the contract, whatever the data set."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from hearth.contracts import Contract, list_contracts
from hearth.contracts.record_parser import RecordParser
from hearth.fakes import FakeRecords
from hearth_api.schemas.builders import dataset_info
from streamlit_app.forms import _step
from streamlit_app.literal_text import literal
from tests.support.contracts import write_contract

DATA = Path(__file__).parents[2] / "data"
CONTRACTS = {contract.name: contract for contract in list_contracts(DATA)}


def form_of(contract: Contract, start: dict[str, object] | None = None) -> AppTest:
    def page(contract: dict[str, object], start: dict[str, object]) -> None:
        import streamlit as st  # noqa: PLC0415 - Streamlit runs the text of this function by itself

        from streamlit_app.forms import fill_form, record_form  # noqa: PLC0415

        st.button("Fill", on_click=lambda: fill_form(contract, "form", st.session_state["other"]))
        st.session_state["record"] = record_form(contract, "form", start)

    described = dataset_info(contract, default=False, root_path="").model_dump(mode="json")
    return AppTest.from_function(page, args=(described, described["example"] if start is None else start), default_timeout=60).run()


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_the_form_of_every_data_set_holds_is_a_record_of_it(name: str) -> None:
    contract = CONTRACTS[name]
    form = form_of(contract)

    assert not form.exception
    record = form.session_state["record"]
    assert list(record) == list(contract.feature_names)
    assert len(RecordParser(contract).parse([record])) == 1


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_is_not_known_is_sent_as_missing(name: str) -> None:
    contract = CONTRACTS[name]
    nullable = [column for column, kind in contract.feature_columns.items() if kind.nullable]
    form = form_of(contract)
    for box in form.checkbox:
        box.check()
    form.run()

    assert [box.label for box in form.checkbox] == [f"{literal(column)} is unknown" for column in nullable]
    record = form.session_state["record"]
    assert [column for column, value in record.items() if value is None] == nullable
    assert len(RecordParser(contract).parse([record])) == 1


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_form_begins_with_the_record_that_it_is_given_and_takes_another_at_a_click(name: str) -> None:
    contract = CONTRACTS[name]
    first, second = FakeRecords.load(contract, DATA).records(2, seed=4)
    form = form_of(contract, first)
    assert form.session_state["record"] == first
    form.session_state["other"] = second

    form.button[0].click().run()

    assert not form.exception
    assert not form.warning
    assert form.session_state["record"] == second


def test_what_a_contract_does_not_allow_becomes_what_it_does() -> None:
    employees = CONTRACTS["employees"]
    form = form_of(employees, {"Designation": 17, "Gender": "unheard of", "Team Size": "many", "Mental Fatigue Score": None})

    assert not form.exception
    record = form.session_state["record"]
    assert (record["Designation"], record["Gender"], record["Mental Fatigue Score"]) == (2, "Female", None)
    assert len(RecordParser(employees).parse([record])) == 1


@pytest.mark.parametrize(
    ("low", "high", "step", "decimals"), [(0, 1, 0.01, 2), (0, 24, 0.1, 1), (1, 10, 0.01, 2), (0, 7_000, 10, 0), (0, 0.002, 0.00001, 5)]
)
def test_a_slider_has_round_steps(low: float, high: float, step: float, decimals: int) -> None:
    found, shown = _step(low, high)
    assert found == pytest.approx(step)
    assert shown == decimals


def test_signs_of_names_and_units_are_shown_as_they_are(tmp_path: Path) -> None:
    form = form_of(write_contract(tmp_path))

    assert not form.exception
    assert [slider.label for slider in form.slider][-2:] == [r"Price (k\$) (0–200 k\$)", "a//b (0–9 u)"]  # noqa: RUF001 - a range
    assert [box.label for box in form.selectbox] == ["?"]
    assert form.selectbox[0].options == ["12:30", "$"]
    assert [box.label for box in form.checkbox] == [r"Q1\_1 is unknown"]
