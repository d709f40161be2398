from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.service import Json, ServiceError
from streamlit_app.shared import choose_dataset, needs_service, service, text_table
from streamlit_app.views.retrains import retrain_section

_CHECKS = 60
_RECORDS = 1_000
_ROWS = 50
_MOST_BINS = 30
_ROW_PIXELS, _AXIS_PIXELS = 22, 150
_MEANINGS = {
    "not_enough": "too few records for an answer",
    "ok": "no difference beyond chance",
    "warn": "a difference is more than chance",
    "drift": "a difference is more than chance, and large",
    "act": "large in two windows in a row that share no record",
}
_ICONS = {"not_enough": "hourglass_empty", "ok": "check_circle", "warn": "info", "drift": "warning", "act": "crisis_alert"}
# Distinct for the colour-blind, and in contrast with white and black.
_LEVEL_COLOURS = {"not_enough": "#8a8f98", "ok": "#2f8f6b", "warn": "#c99700", "drift": "#d9661f", "act": "#b3261e"}
_SIDES = {"reference": "#2a7fc9", "now": "#d9661f"}


@needs_service
def drift() -> None:
    """What is served against what the champion was trained on."""
    st.title("Drift")
    contract = choose_dataset("drift")
    dataset = contract["name"]
    history = service().get(f"/drift/{dataset}/history", limit=_CHECKS)["checks"]
    if not history:
        st.info(
            f"{dataset} was not checked yet: the DAG monitor does it while a champion answers, `hearth monitor` at once.",
            icon=":material/hourglass_empty:",
        )
        retrain_section(dataset)
        return
    times = [check["checked_at"] for check in history][::-1]
    chosen = st.selectbox("Check", times, format_func=_minute, key="drift-check")
    found = service().get(f"/drift/{dataset}", at=chosen)
    _level(found)
    if any(check["columns"] for check in history):
        st.subheader("Columns over time")
        st.altair_chart(heat_map(history), width="stretch")
    if found["columns"]:
        _columns(found)
        _one_column(found, contract)
    retrain_section(dataset)


def _level(found: Json) -> None:
    level = found["level"]
    shown = {"ok": st.success, "not_enough": st.info, "warn": st.warning}.get(level, st.error)
    shown(f"**{level}**: {_MEANINGS[level]}. {literal(found['summary'])}", icon=f":material/{_ICONS[level]}:")
    boxes = st.container(horizontal=True)
    boxes.metric("Version", found["version"], border=True)
    boxes.metric("Records", f"{found['records']:,}", border=True)
    boxes.metric("Out of contract", f"{found['refused_share']:.1%}", help=f"{found['refused']:,} records of the stream", border=True)
    boxes.metric("Alarm since", _minute(found["since"]) if found["since"] else "no alarm", border=True)
    if quality := found["quality"]:
        before = quality["measured"] if quality["measured"] is not None else quality["reference"]
        change = None if before is None else f"{quality['value'] - before:+.3f} against the test set"
        help_ = (
            f"{quality['low']:.3f} to {quality['high']:.3f}, from the probabilities alone. It holds while labels keep their meaning and "
            "inputs are measured as they were, and cancels no alarm."
        )
        name = f"Estimated {quality['metric'].replace('_', '-')}"
        boxes.metric(name, f"{quality['value']:.3f}", change, delta_color="off", help=help_, border=True)
    if opinion := found["second_opinion"]:
        help_ = f"A classifier that tells these records from the train set: {opinion['low']:.3f} to {opinion['high']:.3f}; 0.5 is a guess."
        boxes.metric("Second opinion (AUC)", f"{opinion['auc']:.3f}", help=help_, border=True)


def heat_map(history: Sequence[Json]) -> alt.Chart:
    """Return a cell for each column and check, in the colour of its level; the columns that moved most stand above."""
    rows = [
        {"check": _minute(check["checked_at"], seconds=True), "column": column["name"], "level": column["level"], "psi": column["psi"]}
        for check in history
        for column in check["columns"]
    ]
    frame = pd.DataFrame(rows)
    order = frame.groupby("column")["psi"].max().sort_values(ascending=False).index.tolist()
    levels = [level for level in _LEVEL_COLOURS if level != "not_enough"]
    colours = alt.Scale(domain=levels, range=[_LEVEL_COLOURS[level] for level in levels])
    cells: alt.Chart = (
        alt.Chart(frame, height=_ROW_PIXELS * len(order) + _AXIS_PIXELS)
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            x=alt.X("check:N", sort=None, title=None, axis=alt.Axis(labelAngle=-40, labelOverlap=True)),
            y=alt.Y("column:N", sort=order, title=None, axis=alt.Axis(labelLimit=190, labelOverlap=False)),
            color=alt.Color("level:N", scale=colours, legend=alt.Legend(orient="bottom", title=None)),
            opacity=alt.condition(alt.datum.level == "ok", alt.value(0.35), alt.value(1)),
            tooltip=["column:N", "check:N", "level:N", alt.Tooltip("psi:Q", title="PSI", format=".3f")],
        )
    )
    return cells


def _columns(found: Json) -> None:
    frame = pd.DataFrame(found["columns"])[["name", "level", "p_value", "psi", "detail"]]
    formats = {
        "name": st.column_config.TextColumn("column"),
        "p_value": st.column_config.NumberColumn("p, corrected", format="%.2g"),
        "psi": st.column_config.NumberColumn("PSI beyond chance", format="%.3f"),
        "detail": st.column_config.TextColumn("what changed most", width="large"),
    }
    st.dataframe(frame, hide_index=True, column_config=formats)


def _one_column(found: Json, contract: Json) -> None:
    by_name = {column["name"]: column for column in found["columns"]}
    st.subheader("One column")
    name = st.selectbox("Column", list(by_name), key="drift-column", format_func=lambda name: f"{name}: {by_name[name]['level']}")
    column = by_name[name]
    st.caption(literal(column["detail"]))
    if column["bins"]:
        st.altair_chart(distributions(column["bins"]), width="stretch")
    missing = (column["missing_reference"], column["missing_now"])
    if any(missing):
        st.caption(f"Missing: {missing[0]:.1%} in the reference, {missing[1]:.1%} now.")
    if name in {feature["name"] for feature in contract["columns"]} and found["cursor"]:
        with st.expander("Which records", key="drift-records", on_change="rerun") as opened:
            if opened.open:
                _records(found, column)


def distributions(bins: Sequence[Mapping[str, object]]) -> alt.Chart:
    """Return two bars for each bin: its share in the reference and now; of many bins those that changed most."""
    frame = pd.DataFrame(bins)
    if len(frame) > _MOST_BINS:
        frame = frame.loc[(frame["now"] - frame["reference"]).abs().nlargest(_MOST_BINS).index.sort_values()]
    order = frame["name"].tolist()
    long = frame.melt("name", list(_SIDES), var_name="of", value_name="share")
    bars: alt.Chart = (
        alt.Chart(long, height=320)
        .mark_bar()
        .encode(
            x=alt.X("name:N", sort=order, title=None, axis=alt.Axis(labelAngle=-40, labelLimit=190)),
            xOffset=alt.XOffset("of:N", sort=list(_SIDES)),
            y=alt.Y("share:Q", axis=alt.Axis(format="%"), title="share of the values"),
            color=alt.Color(
                "of:N", scale=alt.Scale(domain=list(_SIDES), range=list(_SIDES.values())), legend=alt.Legend(orient="bottom", title=None)
            ),
            tooltip=["name:N", "of:N", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return bars


def _records(found: Json, column: Json) -> None:
    """List the newest records of the window whose value lies in the bin that has grown most, or is missing if that has."""
    name = column["name"]
    try:
        page = service().get("/predictions", dataset=found["dataset"], limit=min(_RECORDS, found["records"]), after=found["cursor"])
    except ServiceError as error:
        st.error(literal(str(error)))
        return
    stored = [prediction for prediction in page["predictions"] if prediction["version"] == found["version"]]
    bins = column["bins"]
    grown = max(bins, key=lambda bin_: bin_["now"] - bin_["reference"], default=None)
    if grown is None or column["missing_now"] - column["missing_reference"] > grown["now"] - grown["reference"]:
        what, chosen = "missing", [entry for entry in stored if entry["record"].get(name) is None]
    else:
        what, chosen = grown["name"], [entry for entry in stored if in_bin(entry["record"].get(name), grown["name"])]
    st.caption(f"{len(chosen):,} of the window's {len(stored):,} records, where {literal(name)} is: {literal(what)}. The newest {_ROWS}:")
    if chosen:
        rows = [
            {"scored at": _minute(entry["scored_at"], seconds=True), "value": entry["record"].get(name), "message": entry["message_id"]}
            for entry in chosen[:_ROWS]
        ]
        text_table(pd.DataFrame(rows), max_height=400)


def in_bin(value: object, name: str) -> bool:
    """Return whether a value lies in the bin of a name, as the monitor names bins: `below 3`, `3 to 5`, `from 5`, or a category."""
    if value is None:
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value) == name
    try:
        if name.startswith("below "):
            return value < float(name.removeprefix("below "))
        if name.startswith("from "):
            return value >= float(name.removeprefix("from "))
        low, between, high = name.partition(" to ")
        return float(low) <= value < float(high) if between else str(value) == name
    except ValueError:  # a category that is called so
        return str(value) == name


def _minute(text: str, *, seconds: bool = False) -> str:
    return f"{pd.Timestamp(text).tz_convert('UTC'):{'%m-%d %H:%M:%S' if seconds else '%m-%d %H:%M'}}"
