"""What the views show of data, versions and services, beside what a person does with them."""

import re

import httpx
from playwright.sync_api import Page, expect

from hearth.data.data_report import typical_record
from hearth.registry import Registry
from hearth.settings import ModelSettings
from tests.browser.person import VIEWS, choose, metric, opened
from tests.browser.site import CONTRACT, Site
from tests.support.models import good_record
from tests.support.published import REPORTED
from tests.support.waiting import wait_until


def test_the_first_view_says_what_serves_what_it_knows_and_where_to_go(page: Page, site: Site) -> None:
    opened(page, site, "")

    expect(metric(page, "Aliases served")).to_have_text("6")
    expect(metric(page, "Servers")).to_have_text("3 of 4")  # the object store is away
    expect(page.get_by_test_id("stAlert")).to_contain_text("No answer from s3: see Health.")
    expect(page.get_by_text(re.compile(r"Version 1 \(knn\) is champion"))).to_be_visible()
    expect(page.get_by_text("(origin file): 400 of 500 rows, 20 rejected, 16.7% duplicates.")).to_be_visible()
    expect(page.get_by_text("No data were published with a report yet.")).to_have_count(2)
    for view, title in VIEWS.items():
        if view:
            expect(page.get_by_test_id("stMain").get_by_role("link", name=title)).to_have_attribute("href", re.compile(rf"(^|/){view}$"))
    page.get_by_test_id("stMain").get_by_role("link", name="Predict").click()
    expect(page.get_by_role("heading", level=1, name="Predict")).to_be_visible()


def test_the_form_begins_with_a_typical_record_and_a_button_draws_another(page: Page, site: Site) -> None:
    registry = Registry.from_settings(ModelSettings(mlflow_tracking_uri=site.mlflow_uri))
    publication = registry.publication("employees_etl")
    assert publication is not None
    typical = typical_record(CONTRACT, registry.data_report(publication).profile)
    opened(page, site)
    sleep = page.get_by_role("slider", name="Sleep Hours")
    expect(sleep).to_have_value(f"{typical['Sleep Hours']:g}")
    assert 5 < float(sleep.input_value()) < 8

    def values() -> list[str]:
        return [slider.input_value() for slider in page.get_by_role("slider").all()]

    before = values()
    page.get_by_role("button", name="Random record").click()
    wait_until(lambda: values() != before)
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(metric(page, "champion: version")).to_have_text(re.compile("|".join(CONTRACT.target.classes)))

    page.get_by_role("button", name="Typical record").click()
    wait_until(lambda: values() == before)
    expect(page.get_by_text("The form has changed")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


def test_the_data_view_shows_rows_reasons_and_what_has_moved(page: Page, site: Site) -> None:
    opened(page, site, "data")

    for label, value in {"Rows read": "500", "Rejected": "20", "Duplicates": "16.7%", "Train rows": "320", "Test rows": "80"}.items():
        expect(metric(page, label)).to_have_text(value)
    expect(page.get_by_text("Valid rows that were left out: 80 copies of other rows.")).to_be_visible()
    expect(page.get_by_test_id("stTable")).to_contain_text("Designation: not a whole number from 0 to 5")
    expect(page.get_by_test_id("stAlert").filter(has_text="Team Size: 20% of the rows would have to change")).to_be_visible()
    expect(page.get_by_text(REPORTED, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="how they were made")).to_have_attribute("href", re.compile(r"/#/runs/[0-9a-f]{32}$"))

    choose(page, "Data set", "heart: Who has heart disease?")
    expect(page.get_by_test_id("stAlert").filter(has_text="No data were published with a report yet")).to_be_visible()


def test_live_lists_the_dead_letters_of_the_data_set_that_was_chosen(page: Page, site: Site) -> None:
    site.send({**good_record(CONTRACT), "Gender": "nobody of heart"})
    opened(page, site, "live")
    page.get_by_text("Latest dead letters of employees").click()
    expect(page.get_by_test_id("stExpanderDetails").get_by_role("row").filter(has_text="nobody of heart").first).to_be_visible()

    choose(page, "Data set", "heart: Who has heart disease?")
    expect(page.get_by_text("Latest dead letters")).to_have_count(0)
    expect(page.get_by_text(re.compile("As of .* UTC"))).to_be_visible()


def test_a_version_has_links_to_its_run_and_metrics_in_groups(page: Page, site: Site) -> None:
    run = httpx.get(f"http://127.0.0.1:{site.port}/model-info").json()["run_id"]
    opened(page, site, "models")

    expect(page.get_by_role("link", name="Run in MLflow")).to_have_attribute("href", re.compile(f"/#/runs/{run}$"))
    expect(page.get_by_role("link", name="Version in MLflow")).to_have_attribute("href", re.compile("/#/models/employees/versions/1$"))
    overall = page.get_by_test_id("stExpander").filter(has_text="Overall")
    expect(overall.locator("canvas table")).to_contain_text("accuracy")


def test_health_says_how_long_each_service_takes(page: Page, site: Site) -> None:
    opened(page, site, "health")

    for name in ("REST and GraphQL", "MLflow", "PostgreSQL", "Valkey (Redis)", "stream worker"):
        row = page.get_by_test_id("stTable").get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))
        expect(row.get_by_role("cell").nth(1)).to_have_text(re.compile(r"^[\d,]+ ms$"))
    away = page.get_by_test_id("stTable").get_by_role("row").filter(has=page.get_by_role("cell", name="gRPC", exact=True))
    expect(away.get_by_role("cell").nth(1)).to_have_text("")
