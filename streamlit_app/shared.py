"""What all views use: the service, the choice of a data set and an alias, and errors as people want to read them."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import streamlit as st

from hearth.settings import PageSettings
from streamlit_app.service import Json, RefusedRecords, Service, ServiceError

CHAMPION = "champion"
_ROW_PIXELS = 40  # of a row whose texts fit into one line
_STYLE = """<style>
[data-testid="stTable"] td:last-child, [data-testid="stTable"] td:last-child * { white-space: normal; overflow-wrap: anywhere; }
[data-testid="stTable"] td:last-child [data-testid="stMarkdownContainer"] { max-width: none; display: block; }
@media (min-width: 640px) { [data-testid="stTable"] td:not(:last-child) * { white-space: nowrap; } }
[data-testid="stTable"] td a { color: inherit; text-decoration: none; pointer-events: none; } /* nobody here has made it a link */
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
def told() -> Iterator[None]:
    """Show what is wrong with a service or a record, instead of a trace; what follows in the view still comes."""
    try:
        yield
    except RefusedRecords as error:
        st.error(str(error), icon=":material/block:")
        problems = pd.DataFrame(error.problems)
        why = problems["column"] + ": got " + problems["value"].astype(str) + ", expected " + problems["expected"]
        sentences(pd.DataFrame({"row": problems["row"], "why": why}))
    except ServiceError as error:
        st.error(str(error), icon=":material/power_off:")


def style() -> None:
    """Let the last column of every table take what room there is and break wherever it must: an address is longer than a phone is wide."""
    st.html(_STYLE)


def sentences(frame: pd.DataFrame, *, tallest: int | None = None) -> None:
    """Show a table whose texts are long: they wrap, where a grid would cut them; what is taller than so many pixels scrolls."""
    shown = frame.astype(str).map(_verbatim)
    rows_fit = tallest is None or len(shown) * _ROW_PIXELS < tallest
    st.table(shown, hide_index=True, height="content" if rows_fit or tallest is None else tallest)


def _verbatim(text: str) -> str:
    """Return a text that st.table, which takes Markdown, shows as it is: somebody else has written it, and an image would be loaded."""
    return _PUNCTUATION.sub(r"\\\g<0>", " ".join(text.split()))


def needs_service(view: Callable[[], None]) -> Callable[[], None]:
    """Make a view end with a message when the service is away."""

    def shown() -> None:
        with told():
            view()

    shown.__name__ = view.__name__
    return shown


def choose_dataset(key: str) -> Json:
    """Let a person choose a data set; return its contract."""
    summaries = service().get("/datasets")["datasets"]
    names = [summary["name"] for summary in summaries]
    default = next((place for place, summary in enumerate(summaries) if summary["default"]), 0)
    titles = {summary["name"]: summary["title"] for summary in summaries}
    name = st.selectbox("Data set", names, index=default, key=f"{key}-dataset", format_func=lambda name: f"{name}: {titles[name]}")
    return service().get(f"/datasets/{name}")


def aliases_of(dataset: str) -> list[Json]:
    """Return what the service says of each alias of a data set, champion first."""
    listed = service().get("/models")["datasets"]
    aliases: list[Json] = next((found["aliases"] for found in listed if found["dataset"] == dataset), [])
    return sorted(aliases, key=lambda alias: bool(alias["alias"] != CHAMPION))


def served_aliases(dataset: str) -> list[str]:
    """Return the aliases under which a version serves, champion first."""
    return [alias["alias"] for alias in aliases_of(dataset) if alias["version"]]


def say_nothing_serves(dataset: str) -> None:
    """Tell what to do where no version serves yet."""
    st.info(f"No version of {dataset} serves yet. Train one first: `make demo`, or its DAGs in Airflow.", icon=":material/hourglass_empty:")
