"""The view Drift: levels, columns over time, both distributions of a column, and the records behind it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hearth.monitoring.window import Position
from hearth.predictions.drift_store import DriftStore
from tests.browser.person import choose, metric, opened
from tests.browser.site import HEART, Site
from tests.support.drift_checks import made_check, probabilities, served_rows
from tests.support.samples import records
from tests.support.served_records import store_answers

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def checked(shared_site: Site) -> Iterator[Site]:
    with DriftStore(shared_site.database_url) as store:
        for minutes, moved in ((30, 0.0), (25, 0.0), (20, 0.0), (15, 0.05), (10, 0.3), (5, 0.5)):
            store.write_check(made_check(HEART, NOON - timedelta(minutes=minutes), "chol", moved))
        served = records(served_rows(HEART, "chol", 0.8))
        start = NOON - timedelta(seconds=2)
        store_answers(store, HEART, "2", served, probabilities(HEART, 2), start)
        answers = store.newest_answers("heart", "2", 1_000, NOON - timedelta(days=1))
        ends = tuple(Position(answer.scored_at, answer.message_id, answer.row) for answer in (answers[0], answers[-1]))
        store.write_check(made_check(HEART, NOON, "chol", records=[dict(answer.record) for answer in answers], places=(ends[0], ends[1])))
    yield shared_site
    with DriftStore(shared_site.database_url) as store, store._connection() as connection:
        connection.execute("DELETE FROM predictions WHERE dataset = 'heart' AND version = '2'")


def of_heart(page: Page, site: Site) -> Page:
    opened(page, site, "drift")
    choose(page, "Data set", f"heart: {HEART.title}")
    return page


def test_a_data_set_that_was_never_checked_says_what_to_do(page: Page, site: Site) -> None:
    opened(page, site, "drift")
    expect(page.get_by_text("was not checked yet")).to_be_visible()


def test_a_person_sees_the_level_the_columns_and_both_distributions(page: Page, checked: Site) -> None:
    of_heart(page, checked)
    expect(page.get_by_text("drift: a difference is more than chance, and large")).to_be_visible()
    expect(metric(page, "Version")).to_have_text("2")
    expect(metric(page, "Records")).to_have_text("1,000")
    expect(page.get_by_role("heading", name="Columns over time")).to_be_visible()
    expect(page.get_by_role("combobox", name="Column", exact=True)).to_have_value("chol: drift")
    expect(page.get_by_text("standard deviations)").first).to_be_visible()
    page.get_by_text("Which records").click()
    expect(page.get_by_text("of the window's 1,000 records, where chol is: from")).to_be_visible()
    if folder := os.environ.get("HEARTH_PICTURES"):
        page.set_viewport_size({"width": 1200, "height": 2600})
        page.wait_for_timeout(1_500)
        page.screenshot(path=Path(folder, "drift.png"), full_page=True)


def test_a_person_goes_back_to_an_earlier_check(page: Page, checked: Site) -> None:
    of_heart(page, checked)
    choose(page, "Check", "11-20 11:30")
    expect(page.get_by_text("ok: no difference beyond chance")).to_be_visible()
