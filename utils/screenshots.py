"""Take the pictures of the page that the documentation shows, from a running stack: python -m utils.screenshots [--dark] [--phone].

Needs Chromium and Playwright (`make setup-dev`), and a stack whose stream moves.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from hearth.contracts import Contract, IntegerColumn, NumberColumn, load_contract
from hearth.fakes import FakeRecords

ROOT = Path(__file__).parents[1]
_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
_WIDTH, _PHONE_WIDTH, _HEIGHT, _HIGHEST = 1200, 390, 900, 2600
_SETTLE_MILLISECONDS = 3_000.0
_ROWS = 500


def main() -> int:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="where the page is")
    parser.add_argument("--dataset", default="employees", help="what the file that is scored is about")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/images")
    parser.add_argument("--dark", action="store_true", help="as it is where the system is dark")
    parser.add_argument("--phone", action="store_true", help="as wide as a phone")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    file = fake_file(load_contract(options.dataset, ROOT / "data"))
    width = _PHONE_WIDTH if options.phone else _WIDTH
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=_FLAGS) as browser:
        page = browser.new_page(color_scheme="dark" if options.dark else "light")

        def opened(view: str) -> Page:
            page.set_viewport_size({"width": width, "height": _HEIGHT})
            page.goto(f"{options.url}/{view}")
            page.get_by_role("heading", level=1).wait_for()
            return page

        def take(name: str) -> None:
            _take(page, width, options.output / name)

        opened("").get_by_role("button", name="Predict", exact=True).click()
        page.get_by_text("Why?").first.click()
        page.get_by_text("Why version").wait_for()
        take("predict.png")
        opened("live").get_by_text("As of").wait_for()
        for letters in page.get_by_text("Latest dead letters").all():
            letters.click()
        take("live.png")
        opened("file").get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
            {"name": "people.csv", "mimeType": "text/csv", "buffer": file}
        )
        page.get_by_text("First rows").wait_for()
        take("file.png")
        opened("models").get_by_test_id("stImage").wait_for()
        take("models.png")
        opened("health").get_by_text("Aliases").wait_for()
        take("health.png")
    return 0


def fake_file(contract: Contract, rows: int = _ROWS) -> bytes:
    """Return fake records as CSV, the second of which breaks the contract."""
    frame = FakeRecords.load(contract, ROOT / "data").frame(rows, seed=7)[list(contract.feature_names)].astype(object)
    name, column = next((name, column) for name, column in contract.columns.items() if isinstance(column, IntegerColumn | NumberColumn))
    frame.loc[1, name] = column.maximum + 1
    return frame.to_csv(index=False).encode()


def _take(page: Page, width: int, path: Path) -> None:
    """Take all of the page, whose window scrolls inside."""
    page.wait_for_timeout(_SETTLE_MILLISECONDS)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(_HIGHEST, int(height))})
    page.wait_for_timeout(_SETTLE_MILLISECONDS)
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    page.screenshot(path=path)
    print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(main())
