from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from streamlit_app.service import Json
from streamlit_app.shared import choose_dataset, needs_service, offers, service, show_errors, text_table
from streamlit_app.time_charts import class_counts, classes_over_time, latencies, latency_over_time

_SECONDS = 2
_MAX_PREDICTIONS = 500
_MAX_ROWS = 50
_ALL = "all"
_SOURCES = [_ALL, "stream", "rest", "graphql", "grpc", "file", "batch"]


@needs_service
def live() -> None:
    """Predictions as they are stored, and the state of the stream."""
    st.title("Live")
    contract = choose_dataset("live")
    source = st.segmented_control("Interface", _SOURCES, default=_ALL, key="live-source") or _ALL
    _charts_and_table(contract["name"], contract["classes"], None if source == _ALL else source)


@st.fragment(run_every=_SECONDS)
def _charts_and_table(dataset: str, classes: list[str], source: str | None) -> None:
    now = datetime.now(UTC)
    with show_errors():
        predictions = service().get("/predictions", limit=_MAX_PREDICTIONS, dataset=dataset, source=source)["predictions"]
        rate, letters, charts = st.container(), st.container(), st.container()
        if predictions:
            frame = _frame(predictions)
            with charts:
                _charts(frame, classes)
                _table(frame)
        else:
            frame = pd.DataFrame({"scored_at": pd.to_datetime([], utc=True)})
            charts.info("There are no predictions yet.", icon=":material/hourglass_empty:")
        with rate, show_errors():
            _stream(_per_minute(frame["scored_at"], now), letters, dataset)
    st.caption(f"As of {now:%H:%M:%S} UTC, every {_SECONDS} seconds, from the latest {_MAX_PREDICTIONS} predictions.")


def _frame(predictions: list[Json]) -> pd.DataFrame:
    frame = pd.DataFrame(predictions)
    for name in ("scored_at", "enqueued_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    frame["probability"] = [probabilities.get(label) for probabilities, label in zip(frame["probabilities"], frame["label"], strict=True)]
    return frame


def _stream(rate: float, letters: "st.delta_generator.DeltaGenerator", dataset: str) -> None:
    boxes = st.container(horizontal=True)
    boxes.metric("Predictions per minute", f"{rate:,.0f}", border=True)
    filtered = dataset if offers("GET /stream", "dataset") else None
    stream = service().get("/stream", dataset=filtered)
    boxes.metric("Lag (unread)", "unknown" if stream["lag"] is None else f"{stream['lag']:,}", border=True)
    boxes.metric("Being scored", f"{stream['pending']:,}", border=True)
    boxes.metric("Oldest message", f"{stream['oldest_seconds']:.1f} s", border=True)
    boxes.metric("Dead letters", f"{stream['dead_letters']:,}", border=True, help="Of all data sets.")
    if stream["latest_dead_letters"]:
        # A browser closes an expander that has a new label or is drawn again: so no number in the label, and a key
        title = f"Latest dead letters of {dataset}" if filtered else "Latest dead letters"
        with letters.expander(title, key=f"live-dead-letters-{dataset}", on_change="rerun"):
            _dead(pd.DataFrame(stream["latest_dead_letters"]))


def _dead(letters: pd.DataFrame) -> None:
    time = pd.to_datetime(letters["time"], utc=True, format="ISO8601").dt.strftime("%Y-%m-%d %H:%M:%S")
    reason = letters["error"] + ": " + letters["reason"] + " (message " + letters["message_id"] + ")"
    text_table(pd.DataFrame({"time": time, "reason": reason}))


def _charts(frame: pd.DataFrame, classes: list[str]) -> None:
    counts = class_counts(frame["scored_at"], frame["label"])
    left, right = st.columns(2)
    left.markdown("**Shares of the classes**")
    left.altair_chart(classes_over_time(counts, classes, share=True), width="stretch")
    right.markdown("**Predictions by class**")
    right.altair_chart(classes_over_time(counts, classes, share=False), width="stretch")
    taken = latencies(frame["enqueued_at"], frame["scored_at"])
    if len(taken):
        st.markdown("**From queue to answer, messages of the stream**: median and 95th percentile")
        st.altair_chart(latency_over_time(taken), width="stretch")


def _table(frame: pd.DataFrame) -> None:
    columns = ["scored_at", "label", "probability", "alias", "version", "source", "message_id"]
    formats = {
        "scored_at": st.column_config.DatetimeColumn("scored at", format="HH:mm:ss"),
        "probability": st.column_config.NumberColumn(format="percent"),
        "message_id": st.column_config.TextColumn("message"),
    }
    st.dataframe(frame[columns].head(_MAX_ROWS), hide_index=True, column_config=formats)


def _per_minute(times: "pd.Series[pd.Timestamp]", now: datetime) -> float:
    """Return the predictions of the last minute; extrapolated if that minute has more than one page of them."""
    recent = times[times > now - pd.Timedelta(minutes=1)]
    if len(recent) < _MAX_PREDICTIONS:
        return len(recent)
    return len(recent) * 60.0 / max((now - recent.min()).total_seconds(), 1.0)
