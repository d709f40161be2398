"""What the page says of services that are there, that are away, and of which nobody knows."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.person import VIEWS, metric, opened
from tests.browser.site import CONTRACT, Site
from tests.support.models import good_record

RECORD = good_record(CONTRACT, Designation=3)


def row(page: Page, service: str) -> Locator:
    return page.get_by_test_id("stTable").get_by_role("row").filter(has=page.get_by_role("cell", name=service, exact=True))


def test_every_service_is_named_and_those_that_are_away_with_their_address(page: Page, site: Site) -> None:
    site.send(RECORD)
    opened(page, site, "health")
    for name in ("REST and GraphQL", "MLflow", "PostgreSQL", "Valkey (Redis)", "stream worker", "fake producer"):
        expect(row(page, name).get_by_role("cell").last).to_have_text("ok")
    away = {"Airflow": "Airflow", "gRPC": "The gRPC service", "batch API": "The batch API"}
    for name, said in away.items():
        expect(row(page, name)).to_contain_text(f"{said} at {site.away}")
        expect(row(page, name)).to_contain_text("does not answer: connection refused. Is it running?")
    expect(row(page, "object store (S3)")).to_contain_text(f"The object store at {site.away}")
    expect(page.get_by_test_id("stAlert").get_by_role("paragraph")).to_have_text(
        "Problems with object store (S3), gRPC, Airflow, batch API."
    )
    expect(page.get_by_test_id("stTable")).not_to_contain_text("Errno")


def test_a_dead_worker_is_seen_although_nothing_waits_in_the_stream(page: Page, site: Site) -> None:
    opened(page, site, "health")
    expect(row(page, "stream worker")).to_contain_text("ok")
    site.stop_worker()
    try:
        address = f"http://127.0.0.1:{site.worker_port}/metrics"
        expect(row(page, "stream worker")).to_contain_text(f"The stream worker at {address} does not answer: connection refused.")
    finally:
        site.start_worker()
    expect(row(page, "stream worker").get_by_role("cell").last).to_have_text("ok")


def test_what_only_rest_knows_is_not_known_while_it_is_away(page: Page, site: Site) -> None:
    site.stop_rest()
    try:
        opened(page, site, "health")
        expect(row(page, "REST and GraphQL")).to_contain_text(f"The REST service at http://127.0.0.1:{site.port} does not answer")
        for name in ("MLflow", "object store (S3)", "Valkey (Redis)", "PostgreSQL", "fake producer"):
            expect(row(page, name)).to_contain_text("unknown")
        expect(row(page, "stream worker").get_by_role("cell").last).to_have_text("ok")
        expect(page.get_by_test_id("stAlert")).to_contain_text("Unknown: MLflow, object store (S3), Valkey (Redis), PostgreSQL, fake")
    finally:
        site.start_rest()


def test_a_service_that_goes_away_is_a_sentence_and_no_trace_and_the_page_recovers(page: Page, site: Site) -> None:
    opened(page, site, "live")
    expect(metric(page, "Predictions per minute")).to_be_visible()
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
