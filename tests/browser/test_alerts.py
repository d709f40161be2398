"""The view Alerts: open ones first, taken up and resolved by a person with a name, and words from outside as they are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from hearth.alerts import AlertStore
from tests.browser.contrast import texts
from tests.browser.person import choose, metric, opened
from tests.browser.site import Site

HOSTILE = "<script>document.title = 'taken'</script> **bold** ![p](http://127.0.0.1:9/x.png) [click](http://127.0.0.1:9) $x$ :red[red] `c`"


@pytest.fixture
def store(shared_site: Site) -> Iterator[AlertStore]:
    with AlertStore(shared_site.database_url) as store:
        with store._connection() as connection:
            connection.execute("DELETE FROM alerts")
        store.open("quality", "heart", "info", "Accuracy is estimated lower than on the test set")
        for _ in range(3):
            store.open(
                "drift", "employees", "critical", "Sleep Hours: mean 6.1 for 7.0", {"columns": [{"name": "Sleep Hours", "psi": 0.31}]}
            )
        store.open("dag_failed/train_knn", "employees", "warning", "The DAG train_knn has failed in the task train; Airflow has its log.")
        store.resolve("dag_failed/train_knn", "employees", "The run scheduled__2 of train_knn has succeeded.", by="airflow")
        yield store
        with store._connection() as connection:
            connection.execute("DELETE FROM alerts")


def box(page: Page, text: str) -> Locator:
    return page.get_by_test_id("stVerticalBlock").filter(has_text=text).filter(has=page.get_by_text("What happened")).last


def sign_in(page: Page, site: Site) -> None:
    page.get_by_text("Take alerts up and resolve them").click()
    page.get_by_label("Your name", exact=True).fill("Ada")
    page.get_by_label("Your name", exact=True).press("Enter")
    page.get_by_label("Admin key", exact=True).fill(site.admin_key)
    page.get_by_label("Admin key", exact=True).press("Enter")


def test_a_person_sees_open_alerts_first_takes_one_up_and_resolves_it(page: Page, site: Site, store: AlertStore) -> None:
    opened(page, site, "alerts")
    expect(metric(page, "Open")).to_have_text("2")
    order = [
        page.get_by_text(text).bounding_box() for text in ("Sleep Hours: mean", "Accuracy is estimated", "The DAG train_knn has failed")
    ]
    heights = [place["y"] for place in order if place]
    assert heights == sorted(heights)
    assert len(heights) == 3
    expect(page.get_by_text("reported 3 times")).to_be_visible()
    expect(page.get_by_text("by airflow: The run scheduled__2 of train_knn has succeeded.")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge", exact=True).first).to_be_disabled()

    sign_in(page, site)
    expect(page.get_by_role("button", name="Acknowledge", exact=True).first).to_be_enabled()
    page.get_by_role("button", name="Acknowledge", exact=True).first.click()
    expect(page.get_by_text("by Ada (key admin)").first).to_be_visible()
    expect(metric(page, "Acknowledged")).to_have_text("1")
    [drift] = store.alerts("acknowledged")
    assert (drift.kind, drift.acknowledged_by) == ("drift", "Ada (key admin)")

    page.locator(f".st-key-resolve-{drift.id} button").click()
    expect(metric(page, "Acknowledged")).to_have_text("0")
    assert store.alert(drift.id).resolved_by == "Ada (key admin)"
    page.locator(f".st-key-alerts-{drift.id}").get_by_text("What happened").click()
    expect(page.get_by_test_id("stTable").get_by_role("cell", name="psi: 0.31, name: Sleep Hours")).to_be_visible()
    expect(page.get_by_test_id("stTable").get_by_role("cell", name="acknowledged, critical")).to_be_visible()


def test_a_person_looks_for_those_of_a_data_set_and_a_state(page: Page, site: Site, store: AlertStore) -> None:
    opened(page, site, "alerts")
    choose(page, "Of", "heart")
    expect(page.get_by_text("Accuracy is estimated")).to_be_visible()
    expect(page.get_by_text("Sleep Hours: mean")).to_have_count(0)
    page.get_by_role("radio", name="resolved").click()
    expect(page.get_by_text("There is no such alert.")).to_be_visible()
    opened(page, site, "")
    expect(metric(page, "Open alerts")).to_have_text("2")
    assert store.state_counts()


def test_words_from_outside_are_shown_as_they_are_and_load_nothing(page: Page, site: Site, store: AlertStore) -> None:
    hostile = store.open(f"prometheus/{HOSTILE}", HOSTILE, "critical", HOSTILE, {HOSTILE: HOSTILE})
    store.acknowledge(hostile.id, HOSTILE)
    opened(page, site, "alerts")
    shown = page.get_by_text(HOSTILE, exact=True)
    expect(shown.first).to_be_visible()
    page.locator(f".st-key-alerts-{hostile.id}").get_by_text("What happened").click()
    expect(page.get_by_test_id("stTable").get_by_role("cell", name="acknowledged, critical")).to_be_visible()
    assert page.title() != "taken"
    main = page.get_by_test_id("stMain")
    expect(main.locator("img, script, .katex")).to_have_count(0)
    assert all(
        "127.0.0.1:9" not in (link.get_attribute("href") or "") or link.evaluate("it => getComputedStyle(it).pointerEvents") == "none"
        for link in main.locator("a").all()
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_alerts_can_be_read_in_light_and_dark(page: Page, site: Site, store: AlertStore, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    opened(page, site, "alerts")
    [resolved] = store.alerts("resolved")
    page.locator(f".st-key-alerts-{resolved.id}").get_by_text("What happened").click()
    expect(page.get_by_test_id("stTable").get_by_role("cell", name="resolved, warning")).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    if folder := os.environ.get("HEARTH_PICTURES"):
        page.set_viewport_size({"width": 1200, "height": 1400})
        page.wait_for_timeout(1_500)
        page.screenshot(path=Path(folder, f"alerts-{scheme}.png"), full_page=True)
    enabled = [one for one in texts(page) if one.contrast < 3.0 and one.text not in {"Acknowledge", "Resolve"}]
    assert enabled == []
