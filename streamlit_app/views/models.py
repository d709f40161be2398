from datetime import datetime

import pandas as pd
import streamlit as st

from streamlit_app.health_checks import picture
from streamlit_app.links import card_link, other_pages, run_link, version_link
from streamlit_app.literal_text import literal
from streamlit_app.metric_groups import grouped
from streamlit_app.service import Json
from streamlit_app.shared import aliases_of, choose_dataset, needs_service, offers, service, settings, show_errors, show_untrained
from streamlit_app.version_charts import waiting_versions
from streamlit_app.views.model_admin import administration
from streamlit_app.views.model_versions import MINUTE, score_columns, show_decisions, show_versions, standing_cells
from streamlit_app.views.rollout import rollouts

_FIGURE = "figures/confusion_matrix.png"
_FACTS = ("alias", "version", "family")


@needs_service
def models() -> None:
    """The versions that serve, their metrics, and the choice of the champion."""
    st.title("Models")
    contract = choose_dataset("models")
    dataset = contract["name"]
    aliases = aliases_of(dataset)
    serving = [alias for alias in aliases if alias["version"]]
    if serving:
        _table(serving)
    else:
        show_untrained(dataset)
    rollouts(dataset)
    for alias in aliases:
        if alias["problem"] and alias["registered"]:
            st.warning(f"{alias['alias']}: {alias['problem']}", icon=":material/warning:")
    versions: list[Json] = []
    with show_errors():
        versions = service().get(f"/models/{dataset}/versions")["versions"]
    if versions:
        _approvals(versions)
        show_versions(dataset, versions, contract["metric"])
        show_decisions(versions)
    if serving:
        _details(contract, serving)
    administration(dataset, versions)
    _links()


def _table(serving: list[Json]) -> None:
    rows = [
        {**{name: alias[name] for name in _FACTS}, **_share(alias), **standing_cells(alias), "why": alias["why"], "since": alias["since"]}
        for alias in serving
    ]
    frame = pd.DataFrame(rows)
    frame["since"] = pd.to_datetime(frame["since"], utc=True, format="ISO8601")
    since = {"since": st.column_config.DatetimeColumn("served since", format=MINUTE)}
    st.dataframe(frame, hide_index=True, column_config={**score_columns(serving), **since})
    challenge = next((alias["challenge"] for alias in serving if alias["challenge"]), None)
    if challenge and challenge["compared"]:
        st.caption(
            f"The challenger, version {challenge['challenger_version']}, agrees with the champion, version "
            f"{challenge['champion_version']}, on {challenge['agreement']:.1%} of {challenge['compared']:,} records."
        )


def _share(alias: Json) -> Json:
    """Return what part of the champion's requests an alias answers, while a candidate answers some."""
    share = alias.get("share")
    return {} if share is None or share in {0, 1} else {"share": f"{share:.0%}"}


def _approvals(versions: list[Json]) -> None:
    """Say which versions wait for a person, where the service knows of approvals."""
    if waiting := waiting_versions(versions):
        names = ", ".join(f"{version['version']} ({version['family']})" for version in waiting)
        st.warning(f"A person has to approve, or refuse, in Airflow: version {literal(names)}.", icon=":material/approval_delegation:")


def _details(contract: Json, serving: list[Json]) -> None:
    dataset = contract["name"]
    st.subheader("Details of a version")
    selected = st.selectbox("Details of", [alias["alias"] for alias in serving], key=f"models-{dataset}-more")
    entry = next(alias for alias in serving if alias["alias"] == selected)
    row = st.container(horizontal=True)
    row.link_button("Run in MLflow", run_link(settings(), entry["run_id"]))
    row.link_button("Version in MLflow", version_link(settings(), dataset, entry["version"]))
    if offers("GET /models/{dataset}/{version}/card"):
        row.link_button("Model card", card_link(settings(), dataset, entry["version"]))
    left, right = st.columns(2)
    with left, show_errors():
        st.markdown("**Test split of its own training**")
        image = picture(settings(), entry["run_id"], _FIGURE)
        if image is None:
            st.info("MLflow has no confusion matrix for this run.")
        else:
            st.image(image, caption="Confusion matrix, from MLflow", width="stretch")
    with right, show_errors():
        _metrics(entry["metrics"], contract["classes"])
        info = service().get(f"/{dataset}/model-info", model=selected)
        created = f"{datetime.fromisoformat(info['created']):%Y-%m-%d %H:%M:%S} UTC"
        facts = {"created": created, "data": info["data_digest"], "MLflow run": info["run_id"], **info["parameters"]}
        with st.expander("Training", expanded=True):
            st.dataframe(pd.DataFrame({"fact": facts.keys(), "value": map(str, facts.values())}), hide_index=True)


def _metrics(metrics: dict[str, float], classes: list[str]) -> None:
    """Show the metrics of the version's own test split in groups; the overall ones are open."""
    found = grouped(metrics, classes)
    if len(found.by_class):
        st.markdown("**By class**")
        numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in found.by_class.columns}
        st.dataframe(found.by_class.rename_axis("class"), column_config=numbers)
    for place, (title, group) in enumerate(found.others.items()):
        with st.expander(title, expanded=place == 0):
            frame = pd.DataFrame({"metric": group.keys(), "value": group.values()})
            st.dataframe(frame, hide_index=True, column_config={"value": st.column_config.NumberColumn(format="%.4g")})


def _links() -> None:
    st.subheader("Other pages")
    row = st.container(horizontal=True)
    for name, address in other_pages(settings()).items():
        row.link_button(name, address)
