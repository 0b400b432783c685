"""A real browser for the tests of the web pages: Debian's Chromium, driven by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.support import missing_server
from tests.web_server import Pages

_PATIENCE_MS = 20_000
"""A page under load is slow; what never comes fails all the same."""
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program() -> str:
    """Return the browser's program."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        missing_server("Chromium")
    return str(found)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program())
        yield browser
        browser.close()


@contextlib.contextmanager
def visit(browser: Browser, pages: Pages, *, operate: bool = True, **options: Any) -> Iterator[Page]:
    """Open the pages with a token. Errors in the console and requests to elsewhere are failures at the end."""
    faults: list[str] = []

    def _console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            faults.append(f"{message.type}: {message.text}")

    def _request(request: Request) -> None:
        if not request.url.startswith((pages.base, "data:", "blob:")):
            faults.append(f"request to {request.url}")

    with contextlib.closing(browser.new_context(**options)) as context:
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        page.on("console", _console)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", _request)
        token = pages.tokens.operate if operate else pages.tokens.watch
        page.goto(f"{pages.base}/?token={token}")
        yield page
        assert faults == []
