from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from streamlit_app.charts import class_shares
from streamlit_app.service import Json
from streamlit_app.shared import choose_dataset, needs_service, sentences, service, told

_SECONDS = 2
_NEWEST = 500
_SHOWN = 50
_ALL = "all"
_SOURCES = [_ALL, "stream", "rest", "graphql", "grpc", "file"]


@needs_service
def live() -> None:
    """Predictions as they come, and how the stream is."""
    st.title("Live")
    contract = choose_dataset("live")
    source = st.segmented_control("How records came", _SOURCES, default=_ALL, key="live-source") or _ALL
    _moving(contract["name"], contract["classes"], None if source == _ALL else source)


@st.fragment(run_every=_SECONDS)
def _moving(dataset: str, classes: list[str], source: str | None) -> None:
    now = datetime.now(UTC)
    with told():
        found = service().get("/predictions", limit=_NEWEST, dataset=dataset, source=source)["predictions"]
        rate, letters = st.container(), st.container()
        if found:
            frame = pd.DataFrame(found)
            frame["scored_at"] = pd.to_datetime(frame["scored_at"], utc=True, format="ISO8601")
            _charts(frame, classes)
        else:
            frame = pd.DataFrame({"scored_at": pd.to_datetime([], utc=True)})
            st.info("Nothing was predicted yet.", icon=":material/hourglass_empty:")
        with rate, told():
            _stream(_a_minute(frame["scored_at"], now), letters)
    st.caption(f"Looked at {now:%H:%M:%S} UTC, again every {_SECONDS} seconds. Of the latest {_NEWEST} predictions.")


def _stream(rate: float, letters: "st.delta_generator.DeltaGenerator") -> None:
    boxes = st.container(horizontal=True)
    boxes.metric("Predictions a minute", f"{rate:,.0f}", border=True)
    stream = service().get("/stream")
    boxes.metric("Lag (not read yet)", "unknown" if stream["lag"] is None else f"{stream['lag']:,}", border=True)
    boxes.metric("Being scored", f"{stream['pending']:,}", border=True)
    boxes.metric("Oldest waits", f"{stream['oldest_seconds']:.1f} s", border=True)
    boxes.metric("Dead letters", f"{stream['dead_letters']:,}", border=True)
    if stream["latest_dead_letters"]:
        # No number in the label, and the page knows whether it is open: a browser closes one that has a new label or is drawn anew
        with letters.expander("The latest dead letters", key="live-dead-letters", on_change="rerun"):
            _dead(pd.DataFrame(stream["latest_dead_letters"]))


def _dead(letters: pd.DataFrame) -> None:
    when = pd.to_datetime(letters["time"], utc=True, format="ISO8601").dt.strftime("%Y-%m-%d %H:%M:%S")
    why = letters["error"] + ": " + letters["reason"] + " (message " + letters["message_id"] + ")"
    sentences(pd.DataFrame({"time": when, "why": why}))


def _charts(frame: pd.DataFrame, classes: list[str]) -> None:
    st.altair_chart(class_shares(frame["scored_at"], frame["label"], classes), width="stretch")
    frame["probability"] = [_probability(given, label) for given, label in zip(frame["probabilities"], frame["label"], strict=True)]
    columns = ["scored_at", "label", "probability", "alias", "version", "source", "message_id"]
    shown = {
        "scored_at": st.column_config.DatetimeColumn("scored at", format="HH:mm:ss"),
        "probability": st.column_config.NumberColumn(format="percent"),
        "message_id": st.column_config.TextColumn("message"),
    }
    st.dataframe(frame[columns].head(_SHOWN), hide_index=True, column_config=shown)


def _probability(given: Json, label: str) -> float | None:
    return given.get(label)


def _a_minute(times: "pd.Series[pd.Timestamp]", now: datetime) -> float:
    """Return how many there were in the last minute; where more than can be seen here fell into it, what they would add up to."""
    recent = times[times > now - pd.Timedelta(minutes=1)]
    if len(recent) < _NEWEST:
        return len(recent)
    return len(recent) * 60.0 / max((now - recent.min()).total_seconds(), 1.0)
