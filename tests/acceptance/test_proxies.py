"""The web pages behind nginx and Caddy, as docs/pages.md sets them up, in a real browser."""

import dataclasses
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

import schedy
from schedy.settings import Settings
from tests.browser import chromium, visit
from tests.proxies import Caddy, Nginx, Proxy
from tests.web_server import Pages, serving


@pytest.fixture(params=[Nginx, Caddy])
def kind(request: pytest.FixtureRequest) -> type[Proxy]:
    found: type[Proxy] = request.param
    return found


@pytest.fixture
def pages(settings: Settings, db: schedy.SchedyDB) -> Iterator[Pages]:
    db.add_experiment(schedy.ManualSearch("Some"))
    with serving(settings, prefix="/schedy") as running:
        yield running


@pytest.mark.parametrize("strips", [False, True], ids=["leaves the prefix", "strips the prefix"])
def test_pages_behind_a_proxy_show_and_act(pages: Pages, kind: type[Proxy], strips: bool) -> None:
    proxy = kind(pages.port, strips=strips)
    with proxy, chromium() as browser, visit(browser, dataclasses.replace(pages, base=proxy.base)) as page:
        expect(page).to_have_url(f"{proxy.base}/")
        page.get_by_role("table", name="Experiments").get_by_role("link", name="Some").first.click()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.reload()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
