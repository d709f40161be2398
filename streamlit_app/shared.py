"""Shared by all views: the service, the choice of a data set, aliases, tables and errors."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import streamlit as st

from hearth.settings import PageSettings
from streamlit_app.literal_text import literal
from streamlit_app.service import Json, RefusedRecords, Service, ServiceError

CHAMPION = "champion"
_OFFERS_SECONDS, _DATA_SECONDS, _DATA_TIMEOUT_SECONDS = 60, 10, 5
_ROW_PIXELS = 40  # height of a row of one line
_STYLE = """<style>
[data-testid="stTable"] td:last-child, [data-testid="stTable"] td:last-child * { white-space: normal; overflow-wrap: anywhere; }
[data-testid="stTable"] td:last-child [data-testid="stMarkdownContainer"] { max-width: none; display: block; }
@media (min-width: 640px) { [data-testid="stTable"] td:not(:last-child) * { white-space: nowrap; } }
/* Markdown makes addresses links, also those in texts from outside */
[data-testid="stTable"] td a, [class*="st-key-alert-"] a { color: inherit; text-decoration: none; pointer-events: none; }
</style>"""
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


@st.cache_resource
def settings() -> PageSettings:
    """Return the settings of this process."""
    return PageSettings()


@st.cache_resource
def service() -> Service:
    """Return the REST service."""
    return Service(settings().api_url, settings().page_api_key.get_secret_value())


@contextmanager
def show_errors() -> Iterator[None]:
    """Show errors of services and records as messages; the view goes on after the block."""
    try:
        yield
    except RefusedRecords as error:
        st.error(literal(str(error)), icon=":material/block:")
        problems = pd.DataFrame(error.problems)
        why = problems["column"] + ": got " + problems["value"].astype(str) + ", expected " + problems["expected"]
        text_table(pd.DataFrame({"row": problems["row"], "why": why}))
    except ServiceError as error:
        st.error(literal(str(error)), icon=":material/power_off:")


def style() -> None:
    """Make the last column of every table wide, and let it wrap anywhere: an address is longer than a phone is wide."""
    st.html(_STYLE)


def text_table(frame: pd.DataFrame, *, max_height: int | None = None) -> None:
    """Show a table of long texts, which wrap; above `max_height` pixels it scrolls."""
    texts = frame.astype(str).map(_verbatim)
    fits = max_height is None or len(texts) * _ROW_PIXELS < max_height
    st.table(texts, hide_index=True, height="content" if fits or max_height is None else max_height)


def _verbatim(text: str) -> str:
    """Escape a text for st.table, which reads Markdown: the text comes from others, and an image in it would be loaded."""
    return _PUNCTUATION.sub(r"\\\g<0>", " ".join(text.split()))


def needs_service(view: Callable[[], None]) -> Callable[[], None]:
    """Make a view end with a message when the service is away."""

    def guarded() -> None:
        with show_errors():
            view()

    guarded.__name__ = view.__name__
    return guarded


def choose_dataset(key: str) -> Json:
    """Let a person choose a data set; return its contract."""
    summaries = service().get("/datasets")["datasets"]
    names = [summary["name"] for summary in summaries]
    default = next((index for index, summary in enumerate(summaries) if summary["default"]), 0)
    titles = {summary["name"]: summary["title"] for summary in summaries}
    name = st.selectbox("Data set", names, index=default, key=f"{key}-dataset", format_func=lambda name: f"{name}: {titles[name]}")
    return service().get(f"/datasets/{name}")


@st.cache_data(ttl=_OFFERS_SECONDS, show_spinner=False)
def _document() -> dict[str, list[str]]:
    """Return the query parameters of each operation of the REST service, by method and path."""
    paths = service().get("/openapi.json").get("paths", {})
    return {
        f"{method.upper()} {path}": [parameter.get("name", "") for parameter in operation.get("parameters", ())]
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def offers(operation: str, parameter: str | None = None) -> bool:
    """Return whether the REST service, which may be of another release, has an operation such as `GET /models`, or a parameter of it."""
    try:
        parameters = _document().get(operation)
    except ServiceError:
        return False
    return parameters is not None and (parameter is None or parameter in parameters)


def published_data(dataset: str) -> Json | None:
    """Return the report of the data that were published last; None if there is none.

    Raises:
        ServiceError: REST or the registry does not answer, in five seconds.
    """
    report, problem = _published(dataset)
    if problem:
        raise ServiceError(problem)
    return report


@st.cache_data(ttl=_DATA_SECONDS, show_spinner=False)
def _published(dataset: str) -> tuple[Json | None, str]:
    """Return the report, or the problem, which is remembered too: a form does not wait again and again for a registry that is away."""
    try:
        return service().get_or_none(f"/datasets/{dataset}/data", _DATA_TIMEOUT_SECONDS), ""
    except ServiceError as error:
        return None, str(error)


@st.cache_data(ttl=_DATA_SECONDS, show_spinner=False)
def known_versions(dataset: str) -> list[Json]:
    """Return all versions of a data set; none while the registry does not answer, which Models and Health say."""
    try:
        found = service().get_or_none(f"/models/{dataset}/versions", _DATA_TIMEOUT_SECONDS)
    except ServiceError:
        return []
    return found["versions"] if found else []


def typical_record(contract: Json) -> Json:
    """Return a record to begin with: of the published data, else that of the contract's documentation."""
    try:
        data = published_data(contract["name"])
    except ServiceError:
        data = None
    record: Json = data["typical"] if data else contract["example"]
    return record


def aliases_of(dataset: str) -> list[Json]:
    """Return the aliases of a data set, champion first."""
    datasets = service().get("/models")["datasets"]
    aliases: list[Json] = next((entry["aliases"] for entry in datasets if entry["dataset"] == dataset), [])
    return sorted(aliases, key=lambda alias: bool(alias["alias"] != CHAMPION))


def served_aliases(dataset: str) -> list[str]:
    """Return the names of the aliases with a version that serves, champion first."""
    return [alias["alias"] for alias in aliases_of(dataset) if alias["version"]]


def show_untrained(dataset: str) -> None:
    """Say what to do while no version serves."""
    st.info(
        f"No model of {dataset} is served yet. Train one first: run `make demo`, or its DAGs in Airflow.", icon=":material/hourglass_empty:"
    )
