"""The page on a phone, and in light and dark."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.contrast import Text, texts
from tests.browser.person import LAST, VIEWS, opened, upload
from tests.browser.site import CONTRACT, Site, csv_with_a_bad_row
from tests.support.models import good_record

PHONE = 390
READABLE = 3.0  # what WCAG asks of large text; Streamlit's captions have 3.7


@pytest.fixture
def phone(page: Page) -> Page:
    page.set_viewport_size({"width": PHONE, "height": 844})
    return page


def is_all_there(text: Locator) -> bool:
    """Whether nothing of it is cut off, or beyond the edge of the screen."""
    text.scroll_into_view_if_needed()
    box, is_whole = text.bounding_box(), text.evaluate("it => it.scrollWidth <= it.clientWidth")
    return box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE and bool(is_whole)


def hard_to_read(page: Page, retrier: int) -> list[Text]:
    """Look more than once: what is about to be drawn anew is pale for a moment."""
    for _ in range(retrier):
        if not (found := [one for one in texts(page) if one.contrast < READABLE]):
            break
        page.wait_for_timeout(100)
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_nothing_is_wider_than_the_screen(phone: Page, site: Site, view: str) -> None:
    opened(phone, site, view)
    expect(phone.get_by_text(LAST[view], exact=False).last).to_be_attached()
    width = phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= PHONE


@pytest.mark.parametrize("value", ["17", "a/word/longer/than/a/phone/is/wide" * 3], ids=["short", "long"])
def test_on_a_phone_the_reason_of_a_refused_row_is_all_there(phone: Page, site: Site, value: str) -> None:
    opened(phone, site, "file")
    upload(phone, "people.csv", "text/csv", csv_with_a_bad_row(40, value))
    why = phone.get_by_test_id("stTable").get_by_role("cell").filter(has_text="expected a whole number from 0 to 5")
    expect(why).to_contain_text(f"Designation: got '{value[:30]}")
    expect(why).to_be_visible()
    assert is_all_there(why)


def test_on_a_phone_the_reason_of_a_dead_letter_is_all_there(phone: Page, site: Site) -> None:
    site.send({**good_record(CONTRACT), "Designation": 18})
    opened(phone, site, "live")
    phone.get_by_text("Latest dead letters").click()
    why = phone.get_by_test_id("stTable").get_by_role("cell").filter(has_text="'Designation': got 18, expected a whole number from 0 to 5")
    expect(why.first).to_be_visible()
    assert is_all_there(why.first)


def test_on_a_phone_the_state_of_a_service_that_is_away_is_all_there(phone: Page, site: Site) -> None:
    opened(phone, site, "health")
    state = phone.get_by_test_id("stTable").get_by_role("cell").filter(has_text="The gRPC service at")
    expect(state).to_contain_text(f"{site.away}/metrics does not answer")
    assert is_all_there(state)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_in_light_and_dark_each_text_stands_out_and_the_page_is_what_the_system_is(page: Page, site: Site, view: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    opened(page, site, view)
    expect(page.get_by_text(LAST[view], exact=False).last).to_be_attached()
    color = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    brightness = sum(int(part) for part in color.strip("rgba()").split(",")[:3]) / 3
    assert (brightness > 128) == (scheme == "light")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    assert VIEWS[view] in [one.text for one in texts(page)]
    assert hard_to_read(page, retrier=40) == []


def test_a_text_that_is_hard_to_read_would_be_found(page: Page, site: Site) -> None:
    opened(page, site, "health")
    page.evaluate("document.querySelector('h1').style.color = 'rgba(128, 128, 128, 0.3)'")
    assert [one.text for one in hard_to_read(page, retrier=10)] == ["Health"]
