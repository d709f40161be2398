from dataclasses import dataclass, field

import streamlit as st

from streamlit_app.charts import contribution_bars, probability_bars
from streamlit_app.forms import record_form
from streamlit_app.service import Json
from streamlit_app.shared import choose_dataset, needs_service, say_nothing_serves, served_aliases, service, told

_TOP = 8
_NONE = "no other"


@dataclass(frozen=True)
class _Asked:
    """A record that was asked about, and what each alias has answered; it stays on the page while the form changes."""

    record: Json
    aliases: list[str]
    answers: dict[str, Json] = field(default_factory=dict)
    reasons: dict[str, Json] = field(default_factory=dict)


@needs_service
def predict() -> None:
    """Ask one or two versions about a record that is put together in a form."""
    st.title("Predict")
    contract = choose_dataset("predict")
    name = contract["name"]
    st.caption(contract["description"])
    aliases = served_aliases(name)
    if not aliases:
        say_nothing_serves(name)
        return
    left, right = st.columns(2)
    first = left.selectbox("Model", aliases, key=f"predict-{name}-model")
    second = right.selectbox("Beside it", [_NONE, *(alias for alias in aliases if alias != first)], key=f"predict-{name}-beside")
    record = record_form(contract, f"predict-{name}-column")
    chosen = [first] if second == _NONE else [first, second]
    remembered = f"predict-{name}-asked"
    if st.button("Predict", type="primary", width="stretch"):
        st.session_state[remembered] = _ask(name, chosen, record)
    asked: _Asked | None = st.session_state.get(remembered)
    if asked is None or not asked.answers:
        return
    if (asked.record, asked.aliases) != (record, chosen):
        st.caption("The form has changed since: what follows is about the record as it was.")
    for place, (alias, answer) in zip(st.columns(len(asked.answers)), asked.answers.items(), strict=True):
        with place, told():
            _show(name, asked, alias, answer)


def _ask(dataset: str, aliases: list[str], record: Json) -> _Asked:
    asked = _Asked(record, aliases)
    for alias in aliases:
        with told():
            asked.answers[alias] = service().post(f"/{dataset}/predict", {"data": [record]}, model=alias)
    return asked


def _show(dataset: str, asked: _Asked, alias: str, answer: Json) -> None:
    title = f"{alias}: version {answer['version']}, {answer['family']}"
    st.metric(title, answer["label"], f"{answer['probability']:.1%} sure", delta_color="off", delta_arrow="off", border=True)
    st.altair_chart(probability_bars(answer["probabilities"][0]), width="stretch")
    if not st.toggle("Why?", key=f"predict-{dataset}-why-{alias}", help="What each column adds to the score of the predicted class."):
        return
    if alias not in asked.reasons:
        with st.spinner("Explaining…"):
            asked.reasons[alias] = service().post(f"/{dataset}/explain", {"data": [asked.record]}, model=alias, top=_TOP)
    reason = asked.reasons[alias]
    explanation = reason["explanations"][0]
    st.altair_chart(contribution_bars(explanation["contributions"], explanation["unit"]), width="stretch")
    st.caption(
        f"Why version {reason['version']} says {explanation['explained_class']}: {reason['method']}. "
        f"It starts from {explanation['base_value']:.3f}; the columns that are not shown add {explanation['rest']:+.3f}."
    )
