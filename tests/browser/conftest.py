"""A Chromium, and a page for it to open."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from deploy.embedded import temporary_servers
from tests.browser.chromium import chromium
from tests.browser.shared import OPEN
from tests.browser.site import Site, site_of
from tests.support.waiting import LIMIT_SECONDS

_MILLISECONDS = LIMIT_SECONDS * 1_000


@pytest.fixture(scope="session", autouse=True)
def retrier() -> None:
    expect.set_options(timeout=_MILLISECONDS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with OPEN:
        yield OPEN.enter_context(chromium())


@pytest.fixture(scope="session")
def shared_site(browser: Browser, mlflow_uri: str, postgres_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    assert browser.is_connected()  # without one nothing needs to start
    database = temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")
    return OPEN.enter_context(site_of(mlflow_uri, database, valkey_url, tmp_path_factory.mktemp("page")))


@pytest.fixture
def site(shared_site: Site) -> Site:
    return shared_site


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A tab of its own; no other host is asked for anything."""
    with browser.new_context(viewport={"width": 1200, "height": 1000}, accept_downloads=True) as context:
        asked: set[str] = set()
        context.set_default_timeout(_MILLISECONDS)
        tab = context.new_page()
        tab.on("request", lambda request: asked.add(request.url.split("/")[2]))
        yield tab
        own = site.url.removeprefix("http://")
        assert {place for place in asked if not place.partition(":")[0].endswith(".localhost")} <= {own}  # those names are this machine
