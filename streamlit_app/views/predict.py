from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from streamlit_app.charts import contribution_bars, probability_bars
from streamlit_app.forms import fill_form, record_form
from streamlit_app.literal_text import literal
from streamlit_app.service import Json, ServiceError
from streamlit_app.shared import choose_dataset, needs_service, offers, served_aliases, service, show_errors, show_untrained, typical_record
from streamlit_app.unusual import INCLUDE, NOT_KEPT, Caution, caution

_TOP = 8
_NONE = "nothing"
_PROBLEM = "predict-no-random-record"


@dataclass(frozen=True)
class _Result:
    """The answers of each alias for a record; they stay on the page while the form changes."""

    record: Json
    aliases: list[str]
    answers: dict[str, Json] = field(default_factory=dict)
    reasons: dict[str, Json] = field(default_factory=dict)


@needs_service
def predict() -> None:
    """Predict for a record from a form, with one or two versions."""
    st.title("Predict")
    contract = choose_dataset("predict")
    name = contract["name"]
    st.caption(literal(contract["description"]))
    aliases = served_aliases(name)
    if not aliases:
        show_untrained(name)
        return
    left, right = st.columns(2)
    first = left.selectbox("Model", aliases, key=f"predict-{name}-model")
    second = right.selectbox("Compare with", [_NONE, *(alias for alias in aliases if alias != first)], key=f"predict-{name}-compare")
    record = _form(contract)
    selected = [first] if second == _NONE else [first, second]
    last = f"predict-{name}-result"
    if st.button("Predict", type="primary", width="stretch"):
        st.session_state[last] = _predict(name, selected, record)
    result: _Result | None = st.session_state.get(last)
    if result is None or not result.answers:
        return
    if (result.record, result.aliases) != (record, selected):
        st.caption("The form has changed: these predictions are for the record before.")
    for cell, (alias, answer) in zip(st.columns(len(result.answers)), result.answers.items(), strict=True):
        with cell, show_errors():
            _show(name, result, alias, answer)


def _form(contract: Json) -> Json:
    key = f"predict-{contract['name']}-column"
    row = st.container(horizontal=True, vertical_alignment="center")
    row.button("Random record", on_click=_fill_at_random, args=(contract, key), icon=":material/casino:", key=f"{key}s-random")
    row.button("Typical record", on_click=_fill_typically, args=(contract, key), icon=":material/person:", key=f"{key}s-typical")
    if problem := st.session_state.pop(_PROBLEM, None):
        st.error(literal(problem), icon=":material/power_off:")
    st.caption("The form begins with a typical record: medians, and the most frequent categories. Random records are generated.")
    return record_form(contract, key, typical_record(contract))


def _fill_typically(contract: Json, key: str) -> None:
    fill_form(contract, key, typical_record(contract))


def _fill_at_random(contract: Json, key: str) -> None:
    try:
        fill_form(contract, key, service().get(f"/datasets/{contract['name']}/samples")["records"][0])
    except ServiceError as error:  # a callback runs before the view, which shows it
        st.session_state[_PROBLEM] = str(error)


def _predict(dataset: str, aliases: list[str], record: Json) -> _Result:
    result = _Result(record, aliases)
    choices = INCLUDE if offers(f"POST /{dataset}/predict", "include") else INCLUDE[-1:]
    for alias in aliases:
        with show_errors():
            result.answers[alias] = _answer(dataset, alias, record, choices)
    return result


def _answer(dataset: str, alias: str, record: Json, choices: Sequence[str | None]) -> Json:
    """Return the answer with as much beside it as the version can say; a refused request stores nothing."""
    for include in choices[:-1]:
        try:
            return _post(dataset, alias, record, include)
        except ServiceError as error:
            if error.code != NOT_KEPT:
                raise
    return _post(dataset, alias, record, choices[-1])


def _post(dataset: str, alias: str, record: Json, include: str | None) -> Json:
    return service().post(f"/{dataset}/predict", {"data": [record]}, model=alias, include=include)


def _show(dataset: str, result: _Result, alias: str, answer: Json) -> None:
    title = f"{alias}: version {answer['version']}, {answer['family']}"
    st.metric(title, literal(answer["label"]), f"{answer['probability']:.1%} sure", delta_color="off", delta_arrow="off", border=True)
    _warn(caution(answer))
    st.altair_chart(probability_bars(answer["probabilities"][0]), width="stretch")
    if not st.toggle("Why?", key=f"predict-{dataset}-why-{alias}", help="What each column adds to the score of the predicted class."):
        return
    if alias not in result.reasons:
        with st.spinner("Explaining…"):
            result.reasons[alias] = service().post(f"/{dataset}/explain", {"data": [result.record]}, model=alias, top=_TOP)
    reason = result.reasons[alias]
    explanation = reason["explanations"][0]
    st.altair_chart(contribution_bars(explanation["contributions"], explanation["unit"]), width="stretch")
    st.caption(
        f"Why version {reason['version']} predicts {literal(explanation['explained_class'])}: {reason['method']}. "
        f"The base value is {explanation['base_value']:.3f}; columns that are not in the chart add {explanation['rest']:+.3f}."
    )


def _warn(found: Caution) -> None:
    """Say which classes the record may have, and whether it is unlike what the version was trained on."""
    if found.labels is not None:
        names = ", ".join(literal(label) for label in found.labels) or "none of the classes: the version has seen nothing like it"
        st.caption(f"With the confidence of the version, it is one of: {names}.")
    if found.unusual:
        lines = "".join(f"\n- {literal(column)}" for column in found.columns)
        st.warning(f"This record is unlike the training data, so the prediction may be wrong.{lines}", icon=":material/warning:")
