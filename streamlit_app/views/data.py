from datetime import datetime

import pandas as pd
import streamlit as st

from streamlit_app.charts import probability_bars
from streamlit_app.links import run_link
from streamlit_app.literal_text import literal
from streamlit_app.service import Json
from streamlit_app.shared import choose_dataset, needs_service, published_data, settings, text_table

_REASONS = {
    "duplicate": "copies of other rows",
    "no_target": "without a target",
    "too_many_missing": "with too many missing values",
}
_STATISTICS = ("median", "mean", "std", "minimum", "maximum")
_MOST_CATEGORIES = 5
_ORIGINS = {
    "generated": "generated rows",
    "file": "a file",
    "batches": "batches",
    "served": "served records",
    "unknown": "an unknown source",
}


@needs_service
def data() -> None:
    """The data that trainings take: how they were made, and what they look like."""
    st.title("Data")
    contract = choose_dataset("data")
    st.caption(literal(contract["description"]))
    report = published_data(contract["name"])
    if report is None:
        st.info("No data were published with a report yet: run the ETL in Airflow, or `make demo`.", icon=":material/hourglass_empty:")
        return
    _published(report)
    _rows(report)
    _warnings(report)
    _moved(report)
    _classes(report, contract["classes"])
    _columns(report)


def _published(report: Json) -> None:
    when = datetime.fromisoformat(report["published"])
    st.markdown(
        f"Data `{report['digest']}` of {_ORIGINS.get(report['origin'], report['origin'])}, published {when:%Y-%m-%d %H:%M} UTC, from "
        f"{literal(report['source'])} ([how they were made]({run_link(settings(), report['run_id'])}))."
    )
    if report["origin"] == "generated":
        st.info("These are generated rows: a version of real data takes the place of every version that was made from them.")


def _rows(report: Json) -> None:
    boxes = st.container(horizontal=True)
    boxes.metric("Rows read", f"{report['rows_in']:,}", border=True)
    boxes.metric("Rejected", f"{report['rejected']:,}", border=True, help="They break the contract.")
    boxes.metric("Duplicates", f"{report['duplicate_share']:.1%}", border=True, help="Of the valid rows, left out as copies of others.")
    boxes.metric("Train rows", f"{report['train_rows']:,}", border=True)
    boxes.metric("Test rows", f"{report['test_rows']:,}", border=True)
    left_out = [(_REASONS.get(reason, reason), count) for reason, count in report["dropped"].items() if count]
    rejected = list(report["reasons"].items())
    if left_out:
        st.caption("Valid rows that were left out: " + ", ".join(f"{count:,} {literal(reason)}" for reason, count in left_out) + ".")
    if rejected:
        st.subheader("Rejected rows")
        text_table(pd.DataFrame(rejected, columns=["reason", "rows"])[["rows", "reason"]])


def _warnings(report: Json) -> None:
    for warning in report["warnings"]:
        st.warning(literal(warning), icon=":material/warning:")


def _moved(report: Json) -> None:
    st.subheader("Columns that have moved")
    if not report["moved"]:
        st.caption("There was nothing to compare these data with.")
        return
    frame = pd.DataFrame(report["moved"].items(), columns=["column", "rows that would have to change"])
    share = st.column_config.ProgressColumn("rows that would have to change", format="percent", min_value=0, max_value=1)
    st.dataframe(frame, hide_index=True, column_config={"rows that would have to change": share})
    st.caption(f"Compared with {literal(report['compared_with'])}. A noticeable change, beyond chance, is a warning above.")


def _classes(report: Json, classes: list[str]) -> None:
    st.subheader("Classes")
    shares = {name: report["classes"].get(name, 0.0) for name in classes}
    st.altair_chart(probability_bars(shares, "share of the train rows"), width="stretch")


def _columns(report: Json) -> None:
    st.subheader("Columns of the train rows")
    frame = pd.DataFrame(report["columns"])
    percent = {"missing_share": st.column_config.NumberColumn("missing", format="percent")}
    categories = frame["shares"].notna() if len(frame) else pd.Series(dtype=bool)
    if len(numbers := frame[~categories]):
        formats = {name: st.column_config.NumberColumn(format="%.4g") for name in _STATISTICS}
        st.dataframe(numbers, hide_index=True, column_order=["name", "missing_share", *_STATISTICS], column_config={**percent, **formats})
    if len(texts := frame[categories]):
        texts = texts.assign(categories=[_frequent(shares) for shares in texts["shares"]])
        st.dataframe(texts, hide_index=True, column_order=["name", "missing_share", "categories"], column_config=percent)


def _frequent(shares: dict[str, float]) -> str:
    """Return the most frequent categories with their shares."""
    first = sorted(shares, key=lambda name: -shares[name])[:_MOST_CATEGORIES]
    more = f" and {len(shares) - len(first)} more" if len(shares) > len(first) else ""
    return ", ".join(f"{name} {shares[name]:.0%}" for name in first) + more
