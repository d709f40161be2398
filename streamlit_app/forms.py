"""A form for a record, from the contract: a widget for each feature, with its range, unit and meaning."""

import math

import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.service import Json

_STEPS = 100
_COLUMNS = 3


def record_form(contract: Json, key: str, start: Json) -> Json:
    """Show a widget for each feature and return their record; a new form holds the record `start`."""
    features = features_of(contract)
    if any(_place(key, column) not in st.session_state for column in features):
        fill_form(contract, key, start)
    record: Json = {}
    for first in range(0, len(features), _COLUMNS):  # by rows, because a phone stacks columns, and should keep the contract order
        for cell, column in zip(st.columns(_COLUMNS), features[first : first + _COLUMNS], strict=False):
            with cell:
                record[column["name"]] = _value(column, _place(key, column))
    return record


def features_of(contract: Json) -> list[Json]:
    """Return the columns that a record needs."""
    return [column for column in contract["columns"] if column["role"] == "feature"]


def fill_form(contract: Json, key: str, record: Json) -> None:
    """Put a record into a form, before its widgets are drawn; what the contract does not allow becomes the middle of its range."""
    for column in features_of(contract):
        value, place = record.get(column["name"]), _place(key, column)
        if column["nullable"]:
            st.session_state[f"{place}-unknown"] = value is None and column["name"] in record
        st.session_state[place] = _allowed(column, value)


def _place(key: str, column: Json) -> str:
    """Return the key of the widget of a column."""
    return f"{key}-{column['name']}"


def _allowed(column: Json, value: object) -> object:
    if column["categories"]:
        return value if value in column["categories"] else column["categories"][0]
    low, high = column["minimum"], column["maximum"]
    number = float(value) if isinstance(value, int | float) and low <= value <= high else (low + high) / 2
    return int(number) if column["kind"] == "integer" else float(number)


def _value(column: Json, key: str) -> object:
    unknown = f"{key}-unknown"
    is_unknown = bool(column["nullable"] and st.session_state.get(unknown))
    value = _widget(column, key, disabled=is_unknown)
    if column["nullable"]:
        st.checkbox(f"{literal(column['name'])} is unknown", key=unknown)
    return None if is_unknown else value


def _widget(column: Json, key: str, *, disabled: bool) -> object:
    """Show the widget of a column, whose value is in the state of the session already."""
    name, help_ = literal(column["name"]), f"{literal(column['description'])} Expected: {literal(column['expected'])}."
    if column["categories"]:
        values = column["categories"]
        meanings = dict(zip(values, column["meanings"] or values, strict=True))
        return st.selectbox(name, values, format_func=lambda value: str(meanings[value]), help=help_, key=key, disabled=disabled)
    low, high = column["minimum"], column["maximum"]
    label = f"{name} ({low:g}–{high:g} {literal(column['unit'] or '')}".rstrip() + ")"  # noqa: RUF001 - a range
    if column["kind"] == "integer":
        return st.slider(label, int(low), int(high), help=help_, key=key, disabled=disabled)
    step, decimals = _step(low, high)
    return st.slider(label, float(low), float(high), step=step, format=f"%.{decimals}f", help=help_, key=key, disabled=disabled)


def _step(low: float, high: float) -> tuple[float, int]:
    """Return a power of ten that divides the range into at least 100 steps, and its decimals."""
    exponent = math.floor(math.log10((high - low) / _STEPS))
    return 10.0**exponent, max(0, -exponent)
