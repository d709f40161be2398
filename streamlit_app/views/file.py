import io
from dataclasses import dataclass

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from streamlit_app.charts import label_counts
from streamlit_app.literal_text import literal
from streamlit_app.service import Json, ScoredFile
from streamlit_app.shared import choose_dataset, needs_service, served_aliases, service, show_untrained, text_table

_MAX_ROWS = 200
_MAX_HEIGHT = 400  # pixels
_DELIMITERS = ",;\t|"
_LAST_FILE = "file-scored"


@dataclass(frozen=True)
class _Scored:
    """The last file, so that it is not scored again each time the page is drawn."""

    key: tuple[str, str, str]  # data set, alias, file
    file: ScoredFile
    frame: pd.DataFrame


@needs_service
def score_file() -> None:
    """Score a CSV or Parquet file, and show refused rows with their reasons."""
    st.title("Score a file")
    contract = choose_dataset("file")
    name = contract["name"]
    aliases = served_aliases(name)
    if not aliases:
        show_untrained(name)
        return
    alias = st.selectbox("Model", aliases, key=f"file-{name}-model")
    features = ", ".join(literal(column["name"]) for column in contract["columns"] if column["role"] == "feature")
    st.caption(f"One row per record, with the columns {features}. Other columns stay as they are.")
    file = st.file_uploader("A CSV or Parquet file", type=["csv", "parquet"], key=f"file-{name}-file")
    if file is None:
        return
    key = (name, alias, file.file_id)
    scored: _Scored | None = st.session_state.get(_LAST_FILE)
    if scored is None or scored.key != key:
        answer = _score(name, alias, file)
        scored = st.session_state[_LAST_FILE] = _Scored(key, answer, _read(answer.content, file.name))
    _show(scored, contract, file.name)


def _score(dataset: str, alias: str, file: UploadedFile) -> ScoredFile:
    bar = st.progress(0.0, f"Sending {file.name}")

    def progress(share: float, step: str) -> None:
        bar.progress(share, step)

    try:
        return service().score_file(dataset, alias, file, file.name, progress)
    finally:
        bar.empty()


def _read(content: bytes, name: str) -> pd.DataFrame:
    if name.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(content))
    header = content.partition(b"\n")[0].decode(errors="replace")
    return pd.read_csv(io.BytesIO(content), sep=max(_DELIMITERS, key=header.count), low_memory=False)


def _show(scored: _Scored, contract: Json, name: str) -> None:
    frame, file = scored.frame, scored.file
    left, right = st.columns(2)
    left.metric("Rows scored", f"{file.rows - file.refused:,}", border=True)
    right.metric("Rows refused", f"{file.refused:,}", border=True)
    st.download_button("Download the scored file", file.content, f"scored_{name}", type="primary", width="stretch")
    st.subheader("Predictions")
    st.altair_chart(label_counts(frame["label"].dropna().astype(str), contract["classes"]), width="stretch")
    if file.refused:
        st.subheader("Refused rows")
        refused = frame.loc[frame["error"].notna(), ["error"]]
        refused.insert(0, "row", refused.index + 1)
        text_table(refused.head(_MAX_ROWS).rename(columns={"error": "reason"}), max_height=_MAX_HEIGHT)
    st.subheader("First rows")
    added = [column for column in frame.columns if column in {"label", "prediction", "version"} or column.startswith("probability_")]
    others = [column for column in frame.columns if column not in added]
    st.dataframe(frame[[*added, *others]].head(_MAX_ROWS), hide_index=True)
