from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.quality_charts import by_day, confusion, days_frame, evidence_frame, evidence_over_time
from streamlit_app.service import Json
from streamlit_app.shared import choose_dataset, needs_service, service

_CHECKS = 60
_MEANINGS = {
    "not_enough": "too few labels for an answer",
    "ok": "no fall beyond the tolerance is evident",
    "fallen": "more answers are wrong than the tolerance allows",
}
_ICONS = {"not_enough": "hourglass_empty", "ok": "check_circle", "fallen": "trending_down"}


@needs_service
def quality() -> None:
    """What labels show of what was served."""
    st.title("Quality")
    contract = choose_dataset("quality")
    dataset = contract["name"]
    history = service().get(f"/quality/{dataset}/history", limit=_CHECKS)["checks"]
    if not history:
        st.info(
            f"{dataset} was not measured yet: the DAG monitor does it while a champion answers, `hearth monitor` at once.",
            icon=":material/hourglass_empty:",
        )
        return
    times = [check["checked_at"] for check in history][::-1]
    chosen = st.selectbox("Measured", times, format_func=_minute, key="quality-check")
    found = service().get(f"/quality/{dataset}", at=chosen)
    _level(found)
    metric = _title(found["metric"])
    days = days_frame(found["versions"])
    if len(days):
        st.subheader("By day")
        st.caption(f"{metric} with its interval of 95 %, by the UTC day of the answer; days of less than 30 labels are left out.")
        st.altair_chart(by_day(days, metric), width="stretch")
    if paired := found["paired"]:
        st.caption(f"On {paired['rows']:,} labelled records that both scored: {comparison(paired, metric)}")
    evidence = evidence_frame(history)
    if len(evidence):
        st.subheader("Evidence")
        st.caption("That more answers are wrong than allowed: an alarm from the dashed line on, until it is below 1.")
        st.altair_chart(evidence_over_time(evidence), width="stretch")
    st.subheader("Versions")
    _table([(version["version"], version["subject"], version) for version in found["versions"]], ("version", "is"), metric)
    champion = found["versions"][0]
    if champion["measured"]["rows"]:
        st.subheader("Right and wrong answers of the champion")
        st.altair_chart(confusion(champion["measured"]["confusion"], found["classes"]), width="stretch")
    parts = [(part["name"], part["column"], part) for part in champion["groups"]]
    parts += [(part["name"], "alias", part) for part in champion["aliases"]]
    if parts:
        st.subheader("Groups and aliases")
        _table(parts, ("name", "of"), metric)


def _level(found: Json) -> None:
    level, champion = found["level"], found["versions"][0]
    shown = {"ok": st.success, "not_enough": st.info}.get(level, st.error)
    shown(f"**{level}**: {_MEANINGS[level]}. {literal(found['summary'])}", icon=f":material/{_ICONS[level]}:")
    measured, coverage, evidence = champion["measured"], champion["coverage"], champion["evidence"]
    boxes = st.container(horizontal=True)
    boxes.metric("Version", found["version"], border=True)
    boxes.metric("Labels", f"{found['labels']:,}", help=f"of the last {found['days']} days", border=True)
    boxes.metric(_title(found["metric"]), *_figure(measured["metric"]), delta_color="off", delta_arrow="off", border=True)
    boxes.metric("Calibration error", *_figure(measured["calibration_error"]), delta_color="off", delta_arrow="off", border=True)
    share = coverage["share"] if coverage else None
    delay = found["delay_seconds"]
    help_ = None if delay is None else f"Of the answers that are older than {duration(delay)}, within which 95 % of the labels come."
    boxes.metric("With a label", "none yet" if share is None else f"{share:.0%}", help=help_, border=True)
    if evidence:
        help_ = (
            f"{evidence['mean']:.1%} of {evidence['labels']:,} answers are wrong, {evidence['reference']:.1%} were on the test set, and"
            f" {evidence['bound']:.1%} are allowed. A version that keeps to it ever reaches {evidence['threshold']:g} with a chance of"
            f" {1 / evidence['threshold']:.0%}."
        )
        boxes.metric(f"Evidence of a fall (alarm: {evidence['threshold']:g})", evidence_text(evidence["value"]), help=help_, border=True)


def _figure(interval: Mapping[str, float] | None) -> tuple[str, str | None]:
    if interval is None:
        return "too few", None
    return f"{interval['figure']:.3f}", f"{interval['low']:.3f} to {interval['high']:.3f}"


def _table(entries: Sequence[tuple[str, str, Json]], names: tuple[str, str], metric: str) -> None:
    rows = []
    for name, what, entry in entries:
        measured, coverage = entry["measured"], entry.get("coverage")
        rows.append(
            {
                names[0]: name,
                names[1]: what,
                "labels": measured["rows"],
                metric: _interval(measured["metric"]),
                "Accuracy": _interval(measured["accuracy"]),  # the same column where it is the metric
                "calibration error": _interval(measured["calibration_error"]),
                "with a label": coverage["share"] if coverage else None,
            }
        )
    frame = pd.DataFrame(rows)
    if frame["with a label"].isna().all():
        frame = frame.drop(columns="with a label")
    st.dataframe(frame, hide_index=True, column_config={"with a label": st.column_config.NumberColumn(format="percent")})


def _interval(interval: Mapping[str, float] | None) -> str:
    figure, bounds = _figure(interval)
    return f"{figure} ({bounds})" if bounds else "too few"


def comparison(paired: Json, metric: str) -> str:
    """Return what the comparison on the same records says."""
    challenger, champion, difference = paired["challenger"], paired["champion"], paired["metric"]
    words = "is better than" if difference["low"] > 0 else "is worse than" if difference["high"] < 0 else "is as good within noise as"
    figures = f"{metric} {difference['figure']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f})"
    return f"version {challenger}, the challenger, {words} version {champion}: {figures}."


def evidence_text(value: float) -> str:
    """Return the evidence as people read it: 0.03, 12.5, 4,000, 3e+24."""
    return f"{value:,.0f}" if 100 <= value < 1e6 else f"{value:.3g}"  # noqa: PLR2004 - digits that can be read


def _title(metric: str) -> str:
    words = metric.replace("_", "-")
    return words[:1].upper() + words[1:]


def duration(seconds: float) -> str:
    """Return a time in its largest unit: 45 s, 12 min, 3 h, 2 days."""
    for limit, unit, of in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / of:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _minute(text: str) -> str:
    return f"{pd.Timestamp(text).tz_convert('UTC'):%m-%d %H:%M}"
