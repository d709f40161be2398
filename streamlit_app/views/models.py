from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from streamlit_app.health_checks import picture
from streamlit_app.service import Json
from streamlit_app.shared import CHAMPION, aliases_of, choose_dataset, needs_service, service, settings, show_errors, show_untrained

_FIGURE = "figures/confusion_matrix.png"
_FACTS = ("alias", "version", "family")
_SCORES = ("score", "low", "high", "log_loss", "calibration_error")
_MOVED = "models-moved"
_MINUTE = "YYYY-MM-DD HH:mm"


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
        _details(dataset, serving)
    else:
        show_untrained(dataset)
    for alias in aliases:
        if alias["problem"] and alias["registered"]:
            st.warning(f"{alias['alias']}: {alias['problem']}", icon=":material/warning:")
    versions: list[Json] = []
    with show_errors():
        versions = service().get(f"/models/{dataset}/versions")["versions"]
    if versions:
        _versions(versions, contract["metric"])
        _decisions(versions)
    _administration(dataset, versions)
    _links()


def _table(serving: list[Json]) -> None:
    rows = [
        {**{name: alias[name] for name in _FACTS}, **_standing(alias), "why": alias["why"], "since": alias["since"]} for alias in serving
    ]
    frame = pd.DataFrame(rows)
    frame["since"] = pd.to_datetime(frame["since"], utc=True, format="ISO8601")
    since = {"since": st.column_config.DatetimeColumn("served since", format=_MINUTE)}
    st.dataframe(frame, hide_index=True, column_config={**_score_columns(serving), **since})
    challenge = next((alias["challenge"] for alias in serving if alias["challenge"]), None)
    if challenge and challenge["compared"]:
        st.caption(
            f"The challenger, version {challenge['challenger_version']}, agrees with the champion, version "
            f"{challenge['champion_version']}, on {challenge['agreement']:.1%} of {challenge['compared']:,} records."
        )


def _versions(versions: list[Json], main_metric: str) -> None:
    st.subheader("All versions")
    st.caption(_split(versions, main_metric))
    rows = [{**version, **_standing(version), "aliases": ", ".join(version["aliases"])} for version in versions]
    frame = pd.DataFrame(rows)
    frame["created"] = pd.to_datetime(frame["created"], utc=True, format="ISO8601")
    created = {"created": st.column_config.DatetimeColumn("created (UTC)", format=_MINUTE)}
    columns = ["version", "family", "aliases", "gate", *_SCORES, "made from", "problem", "why", "created"]
    st.dataframe(frame, hide_index=True, column_order=columns, column_config={**_score_columns(versions), **created})


def _split(versions: list[Json], metric: str) -> str:
    """Return the sentence that says which rows the scores are of."""
    standings = [version["standing"] for version in versions if version["standing"]]
    if not standings:
        return f"No version was scored on the present test set yet: its {metric} comes with the next run of the ETL or of a training."
    digests = sorted({f"{standing['data_digest']} ({standing['data_origin']})" for standing in standings})
    return (
        f"{metric} with its interval, of the test set of data {', '.join(digests)}: each version on the rows that it was not trained on. "
        "Versions whose intervals overlap may be equal."
    )


def _standing(entry: Json) -> dict[str, object]:
    """Return the cells about the present test set, and what the version knows."""
    standing = entry["standing"] or {}
    return {**{name: standing.get(name) for name in _SCORES}, "made from": entry["origin"], "problem": standing.get("problem", "")}


def _score_columns(entries: list[Json]) -> dict[str, Any]:
    metric = next((entry["standing"]["metric"] for entry in entries if entry["standing"]), "score")
    titles = dict(zip(_SCORES, (metric, "from", "to", "log loss", "calibration error"), strict=True))
    return {name: st.column_config.NumberColumn(title, format="%.3f") for name, title in titles.items()}


def _decisions(versions: list[Json]) -> None:
    """Show why the gate decided as it did about a version, and each bound with its figure."""
    with st.expander("Why an alias is where it is"):
        for version in versions:
            if version["why"]:
                st.markdown(f"**{_description(version)}** — {version['gate']}")
                st.text(version["why"])
        rows = [
            {"version": version["version"], "at": at, **bound}
            for version in versions
            for at, entry in (("present test set", version["standing"]), ("decision", version["decision"]))
            for bound in (entry or {}).get("bounds", ())
        ]
        if rows:
            numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in ("limit", "figure", "low", "high")}
            st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=numbers)


def _details(dataset: str, serving: list[Json]) -> None:
    selected = st.selectbox("Details of", [alias["alias"] for alias in serving], key=f"models-{dataset}-more")
    run = next(alias["run_id"] for alias in serving if alias["alias"] == selected)
    left, right = st.columns(2)
    with left, show_errors():
        st.subheader("Test split")
        image = picture(settings(), run, _FIGURE)
        if image is None:
            st.info("MLflow has no confusion matrix for this run.")
        else:
            st.image(image, caption="Confusion matrix, from MLflow", width="stretch")
    with right, show_errors():
        st.subheader("Training")
        info = service().get(f"/{dataset}/model-info", model=selected)
        created = f"{datetime.fromisoformat(info['created']):%Y-%m-%d %H:%M:%S} UTC"
        facts = {"created": created, "data": info["data_digest"], "MLflow run": info["run_id"], **info["parameters"]}
        st.dataframe(pd.DataFrame({"fact": facts.keys(), "value": map(str, facts.values())}), hide_index=True)


def _administration(dataset: str, versions: list[Json]) -> None:
    st.subheader("Promote and roll back")
    if message := st.session_state.pop(_MOVED, None):
        st.success(message, icon=":material/check:")
    key = st.text_input("Admin key", type="password", key="models-key", help="HEARTH_API_ADMIN_KEY of the REST service.")
    descriptions = {version["version"]: _description(version) for version in versions}
    version = st.selectbox(
        "New champion",
        list(descriptions),
        key=f"models-{dataset}-version",
        format_func=lambda version: descriptions.get(version, version),
        help="Version, family and aliases.",
    )
    over = st.checkbox("Even if the gate has not passed it", key=f"models-{dataset}-over")
    buttons = st.container(horizontal=True)
    promote = buttons.button("Make it champion", type="primary", disabled=not (key and version))
    back = buttons.button("Roll back to the previous champion", disabled=not key)
    admin = service().with_key(key)
    with show_errors():
        if promote:
            _report(admin.post(f"/models/{dataset}/promote", {"version": version, "over_gate": over}))
        if back:
            _report(admin.post(f"/models/{dataset}/rollback"))


def _description(version: Json) -> str:
    aliases = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
    return f"{version['version']}: {version['family']}{aliases}"


def _report(moved: Json) -> None:
    """Draw the page again, with the result above the buttons and the versions that serve now."""
    verb = "is now" if moved["moved"] else "was already"
    st.session_state[_MOVED] = f"{CHAMPION} {verb} version {moved['version']}, {moved['family']}; the gate: {moved['gate']}."
    st.rerun()


def _links() -> None:
    st.subheader("Other pages")
    urls = settings()
    rest = urls.page_api_link.rstrip("/")
    links = {
        "Airflow": urls.page_airflow_link,
        "MLflow": urls.page_mlflow_link,
        "Object store": urls.page_store_link,
        "REST": f"{rest}/docs",
        "GraphQL": f"{rest}/graphql",
    }
    row = st.container(horizontal=True)
    for name, address in links.items():
        if address:
            row.link_button(name, address)
