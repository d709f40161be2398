"""Take the pictures of the page that the documentation shows, from a running stack: python -m utils.screenshots [--dark] [--phone].

Needs Chromium and Playwright (`make setup-dev`), and a stack whose stream moves.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright

from hearth.cli.application import CommandError, run_program
from hearth.contracts import Contract, IntegerColumn, NumberColumn, load_contract
from hearth.fakes import FakeRecords

ROOT = Path(__file__).parents[1]
_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
_WIDTH, _PHONE_WIDTH, _HEIGHT, _HIGHEST = 1200, 390, 900, 3200
_SETTLE_MILLISECONDS = 3_000.0
_ROWS = 500


def main(
    url: Annotated[str, typer.Option(help="The address of the page.")] = "http://127.0.0.1:8501",
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The data set of the scored file.")] = "employees",
    output: Annotated[Path, typer.Option(help="The folder for the pictures.")] = ROOT / "docs/images",
    dark: Annotated[bool, typer.Option("--dark", help="In the dark theme.")] = False,
    phone: Annotated[bool, typer.Option("--phone", help="In the width of a phone.")] = False,
) -> None:
    """Take the pictures of the page that the documentation shows."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise CommandError("Chromium is not installed: apt-get install chromium")
    output.mkdir(parents=True, exist_ok=True)
    file = fake_file(load_contract(dataset, ROOT / "data"))
    width = _PHONE_WIDTH if phone else _WIDTH
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=_FLAGS) as browser:
        page = browser.new_page(color_scheme="dark" if dark else "light")

        def open_view(view: str) -> Page:
            page.set_viewport_size({"width": width, "height": _HEIGHT})
            page.goto(f"{url}/{view}")
            page.get_by_role("heading", level=1).wait_for()
            return page

        def take(name: str) -> None:
            _take(page, width, output / name)

        open_view("").get_by_text("Other pages").wait_for()
        take("overview.png")
        open_view("predict").get_by_role("button", name="Predict", exact=True).click()
        page.get_by_text("Why?").first.click()
        page.get_by_text("Why version").wait_for()
        take("predict.png")
        open_view("live").get_by_text("As of").wait_for()
        for letters in page.get_by_text("Latest dead letters").all():
            letters.click()
        take("live.png")
        open_view("file").get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
            {"name": "people.csv", "mimeType": "text/csv", "buffer": file}
        )
        page.get_by_text("First rows").wait_for()
        take("file.png")
        open_view("data").get_by_text("Columns of the train rows").wait_for()
        take("data.png")
        open_view("models").get_by_test_id("stImage").wait_for()
        take("models.png")
        open_view("health").get_by_text("Aliases").wait_for()
        take("health.png")


def fake_file(contract: Contract, rows: int = _ROWS) -> bytes:
    """Return fake records as CSV, the second of which breaks the contract."""
    frame = FakeRecords.load(contract, ROOT / "data").frame(rows, seed=7)[list(contract.feature_names)].astype(object)
    name, column = next((name, column) for name, column in contract.columns.items() if isinstance(column, IntegerColumn | NumberColumn))
    frame.loc[1, name] = column.maximum + 1
    return frame.to_csv(index=False).encode()


def _take(page: Page, width: int, path: Path) -> None:
    """Take a picture of the whole page, which scrolls inside its window."""
    page.wait_for_timeout(_SETTLE_MILLISECONDS)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(_HIGHEST, int(height))})
    page.wait_for_timeout(_SETTLE_MILLISECONDS)
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    page.screenshot(path=path)
    print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    run_program(main)
