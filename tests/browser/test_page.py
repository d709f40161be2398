"""The page as a person uses it: a real Chromium, Streamlit, REST, MLflow, PostgreSQL and Valkey."""

import csv
import io
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.site import CONTRACT, Site, csv_with_a_bad_row, until
from tests.models import good_record

VIEWS = {"": "Predict", "file": "Score a file", "live": "Live", "models": "Models", "health": "Health"}
# What each view ends with
LAST = {
    "": "Recognition Frequency",
    "file": "CSV or Parquet file",
    "live": "Looked at",
    "models": "GraphQL",
    "health": "Aliases",
}
RECORD = good_record(CONTRACT, Designation=3)


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=30_000)


def opened(page: Page, site: Site, view: str = "") -> Page:
    page.goto(f"{site.url}/{view}")
    expect(page.get_by_role("heading", level=1, name=VIEWS[view])).to_be_visible()
    return page


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def metric(page: Page, label: str) -> Locator:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def of_champion(site: Site) -> list[tuple[object, object, object]]:
    """Two values of each record that the champion has scored, and what it said."""
    stored = httpx.get(f"http://127.0.0.1:{site.port}/predictions", params={"model": "champion"}).json()["predictions"]
    return [(one["record"]["Designation"], one["record"]["Mental Fatigue Score"], one["label"]) for one in stored]


def champion(site: Site) -> str:
    return str(httpx.get(f"http://127.0.0.1:{site.port}/model-info").json()["version"])


def score(site: Site, count: int) -> None:
    answer = httpx.post(f"http://127.0.0.1:{site.port}/predict", json={"data": [RECORD] * count}, timeout=30)
    assert answer.status_code == 200, answer.text


def test_a_form_from_the_contract_is_filled_and_two_versions_answer_side_by_side_and_say_why(page: Page, site: Site) -> None:
    opened(page, site)
    for name, column in CONTRACT.feature_columns.items():
        expect(page.get_by_text(name, exact=False).first).to_be_visible()
        if column.nullable:
            expect(page.get_by_text(f"{name} is not known")).to_be_visible()
    choose(page, "Beside it", "svm")
    slider = page.get_by_role("slider", name="Designation (0–5 level)")  # noqa: RUF001 - a range
    before = int(slider.input_value())
    slider.press("ArrowRight")
    expect(slider).to_have_value(str(before + 1))
    page.get_by_text("Mental Fatigue Score is not known").click()
    expect(page.get_by_role("slider", name="Mental Fatigue Score")).to_be_disabled()

    page.get_by_role("button", name="Predict", exact=True).click()

    for alias, family in (("champion", "knn"), ("svm", "svm")):
        expect(metric(page, f"{alias}: version")).to_have_text(re.compile("|".join(CONTRACT.target.classes)))
        expect(page.get_by_test_id("stMetric").filter(has_text=f"{alias}: version")).to_contain_text(family)
    charts = page.get_by_test_id("stVegaLiteChart")
    expect(charts).to_have_count(2)
    page.get_by_text("Why?").first.click()
    expect(charts).to_have_count(3)
    expect(page.get_by_text("Why version 1 says")).to_be_visible()
    said = metric(page, "champion: version").inner_text()
    until(lambda: (before + 1, None, said) in of_champion(site))  # recording is behind the answer, on no caller's time


def test_a_file_with_a_bad_row_is_scored_the_row_is_shown_with_its_reason_and_the_result_is_downloaded(page: Page, site: Site) -> None:
    opened(page, site, "file")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": csv_with_a_bad_row(40)}
    )
    expect(metric(page, "Rows scored")).to_have_text("39")
    expect(metric(page, "Rows refused")).to_have_text("1")
    expect(page.get_by_text("Refused rows, and why")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(1)
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download the scored file").click()
    assert downloaded.value.suggested_filename == "scored_people.csv"
    rows = list(csv.DictReader(io.StringIO(Path(downloaded.value.path()).read_text("utf-8"))))
    assert len(rows) == 40
    assert {row["label"] for number, row in enumerate(rows) if number != 1} <= set(CONTRACT.target.classes)
    assert (rows[1]["label"], "Designation" in rows[1]["error"]) == ("", True)


def test_a_file_that_is_no_table_of_the_data_set_is_refused_with_a_sentence(page: Page, site: Site) -> None:
    opened(page, site, "file")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "planets.csv", "mimeType": "text/csv", "buffer": b"name,mass\nMars,0.1\n"}
    )
    expect(page.get_by_test_id("stAlert")).to_contain_text("Designation")
    expect(page.get_by_role("button", name="Download the scored file")).to_have_count(0)


def test_the_live_view_moves_while_predictions_and_dead_letters_come(page: Page, site: Site) -> None:
    score(site, 1)
    opened(page, site, "live")
    rate, dead = metric(page, "Predictions a minute"), metric(page, "Dead letters")
    expect(rate).not_to_have_text("0")
    before, letters = int(rate.inner_text()), int(dead.inner_text())

    score(site, 100)
    site.bury("row 0, 'Designation': is missing")

    expect(dead).to_have_text(str(letters + 1))
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(1)
    page.wait_for_function(
        "before => Number([...document.querySelectorAll('[data-testid=stMetric]')]"
        ".find(box => box.innerText.includes('Predictions a minute')).querySelector('[data-testid=stMetricValue]').innerText) >= before",
        arg=before + 50,
    )
    page.get_by_text("The latest of").click()
    expect(page.get_by_test_id("stExpanderDetails").get_by_test_id("stDataFrame")).to_be_visible()


def test_a_person_with_the_key_rolls_back_and_promotes_and_one_with_a_wrong_key_does_not(page: Page, site: Site) -> None:
    opened(page, site, "models")
    expect(page.get_by_test_id("stImage").locator("img")).to_have_js_property("naturalWidth", 310)  # the picture that MLflow has
    assert champion(site) == "1"
    back, key = page.get_by_role("button", name="Back to the champion before"), page.get_by_role("textbox", name="Admin key")
    expect(back).to_be_disabled()
    key.fill("guessed-by-somebody")
    key.press("Enter")
    back.click()
    expect(page.get_by_test_id("stAlert")).to_contain_text("key")
    assert champion(site) == "1"

    key.fill(site.admin_key)
    key.press("Enter")
    back.click()
    expect(page.get_by_text("champion is now version 2, svm")).to_be_visible()
    assert champion(site) == "2"

    choose(page, "Version that shall be champion", "1: knn")
    page.get_by_role("button", name="Make it champion").click()
    expect(page.get_by_text("champion is now version 1, knn; the gate: passed.")).to_be_visible()
    assert champion(site) == "1"
    for name in ("Airflow", "MLflow", "Object store", "REST", "GraphQL"):
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("href", re.compile("^http://localhost:"))


def test_health_names_every_service_and_what_is_wrong_with_those_that_are_away(page: Page, site: Site) -> None:
    opened(page, site, "health")
    table = page.get_by_test_id("stTable")
    for name in ("REST and GraphQL", "mlflow", "postgresql", "redis", "stream worker"):
        expect(table.get_by_role("row").filter(has_text=name)).to_contain_text("ok")
    for name in ("Airflow", "gRPC"):
        expect(table.get_by_role("row").filter(has_text=name)).to_contain_text("refused")
    expect(page.get_by_test_id("stAlert")).to_contain_text("Airflow, gRPC")


def test_a_service_that_goes_away_is_a_sentence_and_no_trace_and_the_page_recovers(page: Page, site: Site) -> None:
    opened(page, site, "live")
    expect(metric(page, "Predictions a minute")).to_be_visible()
    site.stop_rest()
    try:
        expect(page.get_by_test_id("stAlert")).to_contain_text("does not answer")  # without anybody's touching the page
        for view in VIEWS:
            opened(page, site, view)
            expect(page.get_by_test_id("stAlert").first).to_be_visible()
            expect(page.get_by_test_id("stException")).to_have_count(0)
    finally:
        site.start_rest()
    opened(page, site)
    expect(page.get_by_role("button", name="Predict", exact=True)).to_be_visible()


@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page, site: Site, view: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, site, view)
    expect(page.get_by_text(LAST[view], exact=False).last).to_be_attached()
    width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_or_dark_is_what_the_system_is(page: Page, site: Site, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    opened(page, site, "health")
    color = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    brightness = sum(int(part) for part in color.strip("rgba()").split(",")[:3]) / 3
    assert (brightness > 128) == (scheme == "light")
