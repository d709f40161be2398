"""The view Quality: level, metric by day, evidence, versions, right and wrong answers, groups."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hearth.predictions.quality_store import QualityStore
from tests.browser.contrast import texts
from tests.browser.person import choose, metric, opened
from tests.browser.site import HEART, Site
from tests.support.quality_checks import made_quality

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def measured(shared_site: Site) -> Iterator[Site]:
    with QualityStore(shared_site.database_url) as store:
        for minutes, share_wrong in ((15, 0.15), (10, 0.15), (5, 0.15), (0, 0.25)):
            store.write_check(made_quality(HEART, NOON - timedelta(minutes=minutes), share_wrong))
    yield shared_site
    with QualityStore(shared_site.database_url) as store, store._connection() as connection:
        connection.execute("DELETE FROM quality_checks")


def of_heart(page: Page, site: Site) -> Page:
    opened(page, site, "quality")
    choose(page, "Data set", f"heart: {HEART.title}")
    return page


def test_a_data_set_that_was_never_measured_says_what_to_do(page: Page, site: Site) -> None:
    opened(page, site, "quality")
    expect(page.get_by_text("was not measured yet")).to_be_visible()


def test_a_person_sees_the_fall_and_what_it_rests_on(page: Page, measured: Site) -> None:
    of_heart(page, measured)
    expect(page.get_by_text("fallen: more answers are wrong than the tolerance allows")).to_be_visible()
    expect(metric(page, "Version")).to_have_text("2")
    expect(metric(page, "Labels")).to_have_text("900")
    expect(metric(page, "With a label")).to_have_text("75%")
    expect(metric(page, "Evidence of a fall")).to_have_text("4,000")
    for heading in ("By day", "Evidence", "Versions", "Right and wrong answers of the champion", "Groups and aliases"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(page.get_by_text("version 3, the challenger, is better than version 2")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": 1200, "height": 2600})
        page.wait_for_timeout(1_500)
        assert [one for one in texts(page) if one.contrast < 3] == []
        if folder := os.environ.get("HEARTH_PICTURES"):
            page.screenshot(path=Path(folder, f"quality-{scheme}.png"), full_page=True)


def test_a_person_goes_back_to_an_earlier_check(page: Page, measured: Site) -> None:
    of_heart(page, measured)
    choose(page, "Measured", "11-20 11:50")
    expect(page.get_by_text("ok: no fall beyond the tolerance is evident")).to_be_visible()
