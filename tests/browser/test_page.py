"""The page as a person uses it: a real Chromium, Streamlit, REST, MLflow, PostgreSQL and Valkey."""

import csv
import io
import re
from pathlib import Path

import httpx
import pandas as pd
from playwright.sync_api import Locator, Page, expect

from hearth.fakes import FakeRecords
from tests.browser.person import choose, metric, opened, upload
from tests.browser.site import CONTRACT, HEART, Site, csv_with_a_bad_row, with_a_bad_row
from tests.support.models import DATA, good_record
from tests.support.waiting import wait_until

RECORD = good_record(CONTRACT, Designation=3)
LOADS_AN_IMAGE = "**her** ![a](http://example.org/a.png)"  # if it were taken for Markdown


def of_champion(site: Site) -> list[tuple[object, object, object]]:
    """Two values of each record that the champion has scored, and what it said."""
    stored = httpx.get(f"http://127.0.0.1:{site.port}/predictions", params={"model": "champion"}).json()["predictions"]
    return [(one["record"]["Designation"], one["record"]["Mental Fatigue Score"], one["label"]) for one in stored]


def champion(site: Site) -> str:
    return str(httpx.get(f"http://127.0.0.1:{site.port}/model-info").json()["version"])


def number(metric: Locator) -> int:
    return int(metric.inner_text().replace(",", ""))


def score(site: Site, count: int) -> None:
    answer = httpx.post(f"http://127.0.0.1:{site.port}/predict", json={"data": [RECORD] * count}, timeout=30)
    assert answer.status_code == 200, answer.text


def test_a_form_from_the_contract_is_filled_and_two_versions_answer_side_by_side_and_say_why(page: Page, site: Site) -> None:
    opened(page, site)
    for name, column in CONTRACT.feature_columns.items():
        expect(page.get_by_text(name, exact=False).first).to_be_visible()
        if column.nullable:
            expect(page.get_by_text(f"{name} is unknown")).to_be_visible()
    choose(page, "Compare with", "svm")
    slider = page.get_by_role("slider", name="Designation (0–5 level)")  # noqa: RUF001 - a range
    before = int(slider.input_value())
    slider.press("ArrowRight")
    expect(slider).to_have_value(str(before + 1))
    page.get_by_text("Mental Fatigue Score is unknown").click()
    expect(page.get_by_role("slider", name="Mental Fatigue Score")).to_be_disabled()

    page.get_by_role("button", name="Predict", exact=True).click()

    for alias, family in (("champion", "knn"), ("svm", "svm")):
        expect(metric(page, f"{alias}: version")).to_have_text(re.compile("|".join(CONTRACT.target.classes)))
        expect(page.get_by_test_id("stMetric").filter(has_text=f"{alias}: version")).to_contain_text(family)
    charts = page.get_by_test_id("stVegaLiteChart")
    expect(charts).to_have_count(2)
    page.get_by_text("Why?").first.click()
    expect(charts).to_have_count(3)
    expect(page.get_by_text(re.compile(r"Why version \d+ predicts"))).to_be_visible()
    said = metric(page, "champion: version").inner_text()
    wait_until(lambda: (before + 1, None, said) in of_champion(site))  # recording is behind the answer, on no caller's time


def test_another_data_set_has_a_form_of_its_own_in_the_words_of_its_contract_and_sends_codes(page: Page, site: Site) -> None:
    opened(page, site)
    choose(page, "Data set", f"heart: {HEART.title}")
    expect(page.get_by_text(HEART.description)).to_be_visible()
    choose(page, "cp", "typical angina")
    expect(page.get_by_role("slider", name="oldpeak (0–10 mm)")).to_be_visible()  # noqa: RUF001 - a range

    page.get_by_role("button", name="Predict", exact=True).click()

    expect(metric(page, "champion: version")).to_have_text(re.compile("^(Disease|No disease)$"))
    said = metric(page, "champion: version").inner_text()
    page.get_by_text("Why?").click()
    expect(page.get_by_text(re.compile(rf"Why version \d+ predicts {said}"))).to_be_visible()  # others register versions at the same MLflow

    def stored() -> list[tuple[object, object]]:
        answer = httpx.get(f"http://127.0.0.1:{site.port}/predictions", params={"dataset": "heart"}).json()
        return [(one["record"]["cp"], one["label"]) for one in answer["predictions"]]

    wait_until(lambda: stored() == [(3, said)])


def test_a_file_with_a_bad_row_is_scored_the_row_is_shown_with_its_reason_and_the_result_is_downloaded(page: Page, site: Site) -> None:
    opened(page, site, "file")
    upload(page, "people.csv", "text/csv", csv_with_a_bad_row(40))
    expect(metric(page, "Rows scored")).to_have_text("39")
    expect(metric(page, "Rows refused")).to_have_text("1")
    expect(page.get_by_text("Refused rows")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(1)
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download the scored file").click()
    assert downloaded.value.suggested_filename == "scored_people.csv"
    rows = list(csv.DictReader(io.StringIO(Path(downloaded.value.path()).read_text("utf-8"))))
    assert len(rows) == 40
    assert {row["label"] for number, row in enumerate(rows) if number != 1} <= set(CONTRACT.target.classes)
    assert (rows[1]["label"], "Designation" in rows[1]["error"]) == ("", True)


def test_a_parquet_file_comes_back_as_one(page: Page, site: Site) -> None:
    content = io.BytesIO()
    with_a_bad_row(30).to_parquet(content)
    opened(page, site, "file")
    upload(page, "people.parquet", "application/vnd.apache.parquet", content.getvalue())
    expect(metric(page, "Rows scored")).to_have_text("29")
    expect(page.get_by_test_id("stTable").get_by_role("row").filter(has_text="Designation: got 17")).to_be_visible()
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download the scored file").click()
    assert downloaded.value.suggested_filename == "scored_people.parquet"
    scored = pd.read_parquet(downloaded.value.path())
    assert len(scored) == 30
    assert set(scored["label"].drop(index=1)) <= set(CONTRACT.target.classes)
    assert pd.isna(scored["label"][1])


def test_while_a_file_is_scored_a_bar_says_how_far_it_is_and_then_goes(page: Page, site: Site) -> None:
    opened(page, site, "file")
    choose(page, "Data set", f"heart: {HEART.title}")
    expect(page.get_by_text("with the columns age, sex, cp")).to_be_visible()
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const bar = document.querySelector("[data-testid=stProgress]");
                const share = bar?.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow");
                if (bar) window.seen.push([bar.innerText, Number(share)]);
            }).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
        }"""
    )
    content = FakeRecords.load(HEART, DATA).frame(40_000, seed=7)[list(HEART.feature_names)].to_csv(index=False).encode()
    upload(page, "many.csv", "text/csv", content)
    expect(metric(page, "Rows scored")).to_have_text("40,000")
    expect(page.get_by_test_id("stProgress")).to_have_count(0)
    seen = page.evaluate("window.seen")
    assert seen[-1][0] == "Scoring many.csv"
    assert seen[0][0] in {"Sending many.csv", "Checking many.csv"}  # on one machine it is sent in no time
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert len({share for share in shares if 0 < share < 100}) > 3


def test_a_file_that_is_no_table_of_the_data_set_is_refused_with_a_sentence(page: Page, site: Site) -> None:
    opened(page, site, "file")
    upload(page, "planets.csv", "text/csv", b"name,mass\nMars,0.1\n")
    expect(page.get_by_test_id("stAlert")).to_contain_text("Designation")
    expect(page.get_by_role("button", name="Download the scored file")).to_have_count(0)


def test_the_live_view_moves_while_predictions_and_dead_letters_come(page: Page, site: Site) -> None:
    score(site, 1)
    opened(page, site, "live")
    rate, dead = metric(page, "Predictions per minute"), metric(page, "Dead letters")
    expect(rate).not_to_have_text("0")
    before, letters = number(rate), number(dead)

    score(site, 100)
    site.send({**RECORD, "Gender": LOADS_AN_IMAGE})  # the worker buries it

    expect(dead).to_have_text(str(letters + 1))
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    wait_until(lambda: number(rate) >= before + 50)
    page.get_by_text("Latest dead letters").click()
    letter = page.get_by_test_id("stExpanderDetails").get_by_role("row").filter(has_text=LOADS_AN_IMAGE)
    expect(letter.last).to_contain_text("invalid_records: row 0, 'Gender'")
    expect(letter.last).to_be_visible()
    expect(page.get_by_test_id("stExpanderDetails").locator("img")).to_have_count(0)


def test_the_dead_letters_that_somebody_reads_stay_open_when_another_comes(page: Page, site: Site) -> None:
    site.send({**RECORD, "Gender": "the first"})
    opened(page, site, "live")
    page.get_by_text("Latest dead letters").click()
    letters = page.get_by_test_id("stExpanderDetails").get_by_role("row")
    expect(letters.filter(has_text="the first").first).to_be_visible()
    before = number(metric(page, "Dead letters"))

    site.send({**RECORD, "Gender": "the second"})

    expect(metric(page, "Dead letters")).to_have_text(f"{before + 1:,}")
    expect(letters.filter(has_text="the second").first).to_be_visible()


def test_every_version_is_listed_and_can_be_chosen_also_one_that_carries_no_alias(page: Page, site: Site) -> None:
    opened(page, site, "models")
    expect(page.get_by_role("heading", name="All versions")).to_be_visible()
    expect(page.get_by_test_id("stImage").locator("img")).to_have_js_property("naturalWidth", 310)
    grid = page.locator("canvas table").filter(has=page.locator("th", has_text="gate"))  # what the canvas tells those who cannot see it
    rows = [
        row.split("\t")[:4]
        for row in grid.locator("tbody").evaluate("it => [...it.rows].map(row => [...row.cells].map(cell => cell.textContent).join('\t'))")
    ]
    assert rows == [["3", "knn", "", "refused"], ["2", "svm", "previous, svm", "passed"], ["1", "knn", "champion, knn", "passed"]]
    page.get_by_role("combobox", name="New champion").scroll_into_view_if_needed()
    page.get_by_role("combobox", name="New champion").click()
    expect(page.get_by_role("option")).to_have_text(["3: knn", "2: svm (previous, svm)", "1: knn (champion, knn)"])


def test_a_person_with_the_key_rolls_back_and_promotes_and_one_with_a_wrong_key_does_not(page: Page, site: Site) -> None:
    opened(page, site, "models")
    expect(page.get_by_test_id("stImage").locator("img")).to_have_js_property("naturalWidth", 310)  # the picture that MLflow has
    assert champion(site) == "1"
    back, key = page.get_by_role("button", name="Roll back to the previous champion"), page.get_by_role("textbox", name="Admin key")
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

    choose(page, "New champion", "1: knn (knn, previous)")
    page.get_by_role("button", name="Make it champion").click()
    expect(page.get_by_text("champion is now version 1, knn; the gate: passed.")).to_be_visible()
    assert champion(site) == "1"
    for name in ("Airflow", "MLflow", "REST", "GraphQL"):
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("href", re.compile("^http://localhost:"))


def test_under_a_name_that_is_not_its_own_the_page_shows_nothing_but_how_to_allow_it(page: Page, site: Site) -> None:
    """Browsers resolve every name below localhost to this machine, as a name server of an attacker would resolve his."""
    page.goto(site.url.replace("127.0.0.1", "evil.localhost"))

    expect(page.get_by_text("add it to HEARTH_PAGE_ALLOWED_HOSTS")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_count(0)
    expect(page.get_by_role("link", name="Models")).to_have_count(0)
