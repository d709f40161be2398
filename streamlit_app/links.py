"""Addresses for browsers: of runs, versions and data in MLflow, and of the other pages."""

from urllib.parse import quote

from hearth.settings import PageSettings
from streamlit_app.service import Json

_MODELS = "models?workflowType=machine_learning"  # without it MLflow opens where models are hidden


def run_link(settings: PageSettings, run_id: str) -> str:
    """Return the page of a run in MLflow."""
    return f"{_mlflow(settings)}/runs/{quote(run_id, safe='')}"


def version_link(settings: PageSettings, dataset: str, version: str) -> str:
    """Return the page of a version in MLflow."""
    return f"{_mlflow(settings)}/models/{quote(dataset, safe='')}/versions/{quote(version, safe='')}"


def card_link(settings: PageSettings, dataset: str, version: str) -> str:
    """Return the model card of a version, which the REST service has as a page."""
    rest = settings.page_api_link.rstrip("/")
    return f"{rest}/models/{quote(dataset, safe='')}/{quote(version, safe='')}/card?format=html"


def other_pages(settings: PageSettings) -> dict[str, str]:
    """Return the pages of the other services by name; those without an address are left out."""
    rest = settings.page_api_link.rstrip("/")
    pages = {
        "Airflow": settings.page_airflow_link,
        "MLflow": f"{_mlflow(settings)}/{_MODELS}",
        "Object store": settings.page_store_link,
        "REST": f"{rest}/docs",
        "GraphQL": f"{rest}/graphql",
    }
    return {name: address for name, address in pages.items() if address}


def with_links(versions: list[Json], settings: PageSettings, dataset: str, *, cards: bool) -> list[Json]:
    """Return versions with the addresses of their run and, if there are cards, of their card."""
    linked = [{**version, "run": run_link(settings, version["run_id"]) if version["run_id"] else None} for version in versions]
    if not cards:
        return linked
    return [{**version, "card": card_link(settings, dataset, version["version"])} for version in linked]


def _mlflow(settings: PageSettings) -> str:
    return f"{settings.page_mlflow_link.partition('#')[0].rstrip('/')}/#"
