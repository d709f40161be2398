"""What a person does with the page, and where they look."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.site import Site

VIEWS = {
    "": "Hearth",
    "predict": "Predict",
    "file": "Score a file",
    "live": "Live",
    "data": "Data",
    "drift": "Drift",
    "quality": "Quality",
    "alerts": "Alerts",
    "models": "Models",
    "audit": "Audit",
    "monitoring": "Monitoring",
    "health": "Health",
}
# What each view ends with
LAST = {
    "": "Other pages",
    "predict": "Recognition Frequency",
    "file": "CSV or Parquet file",
    "live": "As of",
    "data": "Columns of the train rows",
    "alerts": "As of",
    "models": "GraphQL",
    "audit": "Give the admin key",
    "drift": "checked",
    "quality": "measured",
    "monitoring": "does not answer",
    "health": "Aliases",
}


def opened(page: Page, site: Site, view: str = "predict") -> Page:
    page.goto(f"{site.url}/{view}")
    expect(page.get_by_role("heading", level=1, name=VIEWS[view])).to_be_visible()
    return page


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def metric(page: Page, label: str) -> Locator:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def upload(page: Page, name: str, kind: str, content: bytes) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files({"name": name, "mimeType": kind, "buffer": content})
