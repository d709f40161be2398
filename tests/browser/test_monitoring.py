"""The view Monitoring, and the dashboards' expressions, with a real Prometheus that scrapes the REST service and the stream worker."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from deploy.monitoring.dashboards.generate import FOLDER
from deploy.monitoring.scrape_config import embedded_config
from tests.browser.person import choose, metric, opened
from tests.browser.site import CONTRACT, Site
from tests.support.models import good_record
from tests.support.prometheus import ROOT, running_prometheus
from tests.support.waiting import wait_until

RECORD = good_record(CONTRACT, Designation=3)
# Of what does not run in this test, and of what must not happen
WITHOUT_SERIES = ("hearth_grpc_", "hearth_predictions_not_stored_total")


@pytest.fixture(scope="module")
def prometheus(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    environment = {
        "HEARTH_API_PORT": str(shared_site.port),
        "HEARTH_WORKER_METRICS_PORT": str(shared_site.worker_port),
        "HEARTH_GRPC_METRICS_PORT": "0",
        "HEARTH_EXPORTER_PORT": "0",
        "HEARTH_PROMETHEUS_PORT": str(shared_site.prometheus_port),
    }
    config = embedded_config(environment, str(ROOT / "deploy/monitoring/rules/*.yml"))
    with running_prometheus(config, shared_site.prometheus_port, tmp_path_factory.mktemp("prometheus")) as client:
        wait_until(lambda: len(found(client, "up == 1")) == 3)
        yield client


@pytest.fixture(scope="module")
def traffic(shared_site: Site, prometheus: httpx.Client) -> httpx.Client:
    """Ask every kind of question twice, a scrape apart: a rate needs two values."""
    with httpx.Client(base_url=f"http://127.0.0.1:{shared_site.port}", timeout=30) as rest:
        for number in (1, 2):
            rest.post("/predict", json={"data": [RECORD]}).raise_for_status()
            assert rest.post("/predict", json={"data": [{}]}).status_code == 422
            shared_site.send(RECORD)
            shared_site.send({**RECORD, "Designation": 18})
            for name in (
                "hearth_records_scored_total",
                'hearth_predictions_stored_total{source="rest"}',
                "hearth_stream_dead_letters_total",
            ):
                wait_until(partial(has_reached, prometheus, name, number))
    return prometheus


def has_reached(client: httpx.Client, name: str, number: int) -> bool:
    return bool(found(client, f"sum({name}) >= {number}"))


def found(client: httpx.Client, expression: str) -> list[dict[str, object]]:
    result: list[dict[str, object]] = client.get("/api/v1/query", params={"query": expression}).json()["data"]["result"]
    return result


def expressions(name: str) -> list[str]:
    return [target["expr"] for panel in json.loads((FOLDER / f"{name}.json").read_text("utf-8"))["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("name", ["serving", "stream"])
def test_every_expression_returns_a_series_after_a_little_traffic(traffic: httpx.Client, name: str) -> None:
    asked = [expression for expression in expressions(name) if not any(part in expression for part in WITHOUT_SERIES)]

    assert len(asked) >= 12
    wait_until(lambda: all(found(traffic, expression) for expression in asked))
    assert not found(traffic, f"{WITHOUT_SERIES[1]} > 0")


def test_a_person_sees_the_panels_of_a_dashboard_and_chooses_another(page: Page, site: Site, traffic: httpx.Client) -> None:
    opened(page, site, "monitoring")
    expect(metric(page, "Errors of ours")).to_have_text("0.0%")
    expect(metric(page, "Requests a second")).to_contain_text("/s")
    expect(page.get_by_text("Records by alias and version")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    expect(page.get_by_text("No data in this time.")).to_have_count(2)  # gRPC does not run here
    choose(page, "Dashboard", "Stream")
    expect(metric(page, "Dead letters")).to_have_text(str(int(float(found(traffic, "max(hearth_stream_dead_length)")[0]["value"][1]))))  # type: ignore[index]
    expect(page.get_by_text("as of").last).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    if folder := os.environ.get("HEARTH_PICTURES"):
        choose(page, "Dashboard", "Serving")
        page.set_viewport_size({"width": 1200, "height": 2000})
        page.wait_for_timeout(2_500)
        page.screenshot(path=Path(folder, "monitoring.png"), full_page=True)


def test_an_alert_fires_is_shown_and_is_over_when_the_worker_is_back(page: Page, site: Site, traffic: httpx.Client) -> None:
    site.stop_worker()
    try:
        wait_until(lambda: bool(found(traffic, 'ALERTS{alertname="ProcessAway",job="worker",alertstate="pending"}')))
    finally:
        site.start_worker()
    wait_until(lambda: not found(traffic, 'ALERTS{alertname="ProcessAway"}'))
    opened(page, site, "monitoring")
    expect(page.get_by_text("No alert fires.")).to_be_visible()
