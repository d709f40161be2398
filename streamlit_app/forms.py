"""A form for a record, from the contract: a widget for each feature, with its range, unit and meaning."""

import math

import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.service import Json

_STEPS = 100
_COLUMNS = 3


def record_form(contract: Json, key: str) -> Json:
    """Show a widget for each feature and return their record."""
    features = [column for column in contract["columns"] if column["role"] == "feature"]
    record: Json = {}
    for start in range(0, len(features), _COLUMNS):  # by rows, because a phone stacks columns, and should keep the contract order
        for cell, column in zip(st.columns(_COLUMNS), features[start : start + _COLUMNS], strict=False):
            with cell:
                record[column["name"]] = _value(column, contract["example"].get(column["name"]), f"{key}-{column['name']}")
    return record


def _value(column: Json, example: object, key: str) -> object:
    unknown = f"{key}-unknown"
    is_unknown = bool(column["nullable"] and st.session_state.get(unknown))
    value = _widget(column, example, key, disabled=is_unknown)
    if column["nullable"]:
        st.checkbox(f"{literal(column['name'])} is unknown", key=unknown)
    return None if is_unknown else value


def _widget(column: Json, example: object, key: str, *, disabled: bool) -> object:
    name, help_ = literal(column["name"]), f"{literal(column['description'])} Expected: {literal(column['expected'])}."
    if column["categories"]:
        values = column["categories"]
        meanings = dict(zip(values, column["meanings"] or values, strict=True))
        start = values.index(example) if example in values else 0
        return st.selectbox(name, values, start, lambda value: str(meanings[value]), help=help_, key=key, disabled=disabled)
    low, high = column["minimum"], column["maximum"]
    label = f"{name} ({low:g}–{high:g} {literal(column['unit'] or '')}".rstrip() + ")"  # noqa: RUF001 - a range
    start = example if isinstance(example, int | float) and low <= example <= high else (low + high) / 2
    if column["kind"] == "integer":
        return st.slider(label, int(low), int(high), int(start), help=help_, key=key, disabled=disabled)
    step, decimals = _step(low, high)
    return st.slider(label, float(low), float(high), float(start), step, f"%.{decimals}f", help=help_, key=key, disabled=disabled)


def _step(low: float, high: float) -> tuple[float, int]:
    """Return a power of ten that divides the range into at least 100 steps, and its decimals."""
    exponent = math.floor(math.log10((high - low) / _STEPS))
    return 10.0**exponent, max(0, -exponent)
