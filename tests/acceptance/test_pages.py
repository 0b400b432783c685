"""The web pages in a real browser: each page, what people do with it, and what must never happen."""

import contextlib
import re
import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import make_url, update

import schedy
from schedy.settings import Settings, load_settings
from schedy_broker_setup.dead_letters import dead_letters
from schedy_broker_setup.node.node import free_port
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Service
from schedy_store.service.loop import ResultsService
from schedy_web.service_state import SILENT_SECONDS
from tests.browser import chromium, visit
from tests.integration.test_dead_letters import bury
from tests.integration.test_store import Desk
from tests.support import PostgreSQL, copied_store, running_service, wait_until
from tests.web_server import Pages, serving

NAME = "Wine <script>alert(1)</script> \u202ertl"
JOBS = 30


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def search(db: schedy.SchedyDB) -> schedy.TPESearch:
    """A search with jobs of most kinds."""
    space = {"lr": schedy.random.LogUniform(1e-4, 1), "model": schedy.random.Choice(["a", "b"])}
    made = schedy.TPESearch(NAME, space, maximize="acc", ready=0)
    db.add_experiment(made)
    for number in range(JOBS):
        point = {"lr": 10 ** (-1 - number / 10), "model": "ab"[number % 2]}
        with made.add_job(point, status="RUNNING") as job:
            job.report(0, acc=number / 100)
            job.report(1, acc=number / 50)
            job.results["acc"] = number / 50
    with pytest.raises(ZeroDivisionError), made.add_job({"lr": 0.5, "model": "b"}, status="RUNNING"):
        raise ZeroDivisionError("boom <b>")
    made.add_job({"lr": 0.1, "model": "b"})
    return made


@pytest.fixture
def pages(settings: Settings, search: schedy.TPESearch) -> Iterator[Pages]:
    with serving(settings) as running:
        yield running


def open_experiment(page: Page) -> None:
    page.get_by_role("table", name="Experiments").get_by_role("link", name="Wine").first.click()
    expect(page.get_by_role("table", name="Jobs").get_by_role("link").nth(JOBS)).to_be_visible()


def no_violations(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found] == []


TOO_WIDE = """() => document.documentElement.scrollWidth <= window.innerWidth ? []
    : [...document.querySelectorAll("main *")]
    .filter((each) => each.getBoundingClientRect().right > window.innerWidth && !each.closest(".scroll, code"))
    .map((each) => each.outerHTML.slice(0, 100))"""
"""What reaches beyond the screen, if the page is wider than that."""
ADDRESSES = (
    "/",
    "/e/1",
    "/e/1?tab=events",
    "/e/1?tab=settings",
    "/workers?gone=1",
    "/log",
    "/system",
    "/compare",
    "/compare?e=1,99",
    "/e/99",
    "/nowhere",
)


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 1024), ("light", 390)])
def test_every_page_is_whole_and_accessible(browser: Browser, pages: Pages, theme: str, width: int) -> None:
    with visit(browser, pages, color_scheme=theme, viewport={"width": width, "height": 900}) as page:
        open_experiment(page)
        best = page.get_by_role("table", name="Jobs").get_by_role("link").first.inner_text()
        for address in (*ADDRESSES, f"/e/1/j/{best}", "/e/1/j/nojob0", f"/e/1/compare?ids={best},{best}"):
            page.goto(pages.base + address)
            expect(page.locator("nav")).to_be_visible()
            expect(page.get_by_text("loading")).to_have_count(0)
            no_violations(page)
            assert page.evaluate(TOO_WIDE) == [], (address, width)


def test_a_view_lives_in_its_address(browser: Browser, pages: Pages, search: schedy.TPESearch) -> None:
    with visit(browser, pages) as page:
        open_experiment(page)
        jobs = page.get_by_role("table", name="Jobs")
        page.get_by_role("button", name="CRASHED 1").click()
        expect(jobs.get_by_role("row")).to_have_count(2)
        page.get_by_role("button", name="CRASHED 1").click()
        jobs.get_by_role("button", name="lr").click()
        expect(jobs.get_by_role("columnheader", name="lr")).to_have_attribute("aria-sort", "descending")
        [first] = [job.job_id for job in search.all_jobs() if job.hyperparameters["lr"] == 0.5]
        expect(jobs.get_by_role("link").first).to_have_text(first)
        page.reload()
        expect(jobs.get_by_role("link").first).to_have_text(first)
        page.get_by_role("tab", name="Events").click()
        expect(page.get_by_role("table", name="Events")).to_be_visible()
        page.go_back()
        expect(jobs.get_by_role("link").first).to_have_text(first)


def test_rows_stay_where_they_are_while_jobs_end(browser: Browser, pages: Pages, search: schedy.TPESearch) -> None:
    with visit(browser, pages) as page:
        open_experiment(page)
        jobs = page.get_by_role("table", name="Jobs")
        before = jobs.get_by_role("link").all_inner_texts()
        with search.add_job({"lr": 0.2, "model": "a"}, status="RUNNING") as job:
            job.results["acc"] = 2.0
        expect(page.get_by_text("The order has changed meanwhile.")).to_be_visible()
        expect(page.get_by_text("Best acc 2", exact=True)).to_be_visible()
        assert jobs.get_by_role("link").all_inner_texts() == before
        page.get_by_role("button", name="show", exact=True).click()
        expect(jobs.get_by_role("link").first).to_have_text(job.job_id)


def test_operators_pause_push_and_cancel_and_watchers_do_not(
    browser: Browser, pages: Pages, search: schedy.TPESearch, db: schedy.SchedyDB
) -> None:
    with visit(browser, pages) as page:
        open_experiment(page)
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        assert db.get_experiment(NAME).paused
        page.get_by_role("button", name="undo").click()
        expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
        page.get_by_role("button", name="Push job").click()
        page.get_by_role("textbox", name="lr").fill("0.125")
        page.get_by_role("button", name="Push", exact=True).click()
        page.wait_for_url("**/j/*")
        pushed = search.get_job(page.url.rsplit("/", 1)[1])
        assert dict(pushed.hyperparameters) == {"lr": 0.125, "model": "a"}
        page.get_by_role("button", name="Cancel", exact=True).click()
        expect(page.get_by_text("1 job was cancelled.")).to_be_visible()
        assert search.get_job(pushed.job_id).status == "PRUNED"
    with visit(browser, pages, operate=False) as page:
        open_experiment(page)
        expect(page.get_by_text("watching only")).to_be_visible()
        for name in ("Pause", "Push job", "Remove", "Cancel"):
            expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)


def test_experiments_are_compared(browser: Browser, pages: Pages, db: schedy.SchedyDB) -> None:
    other = schedy.ManualSearch("Other", maximize="acc")
    db.add_experiment(other)
    for acc in (0.25, 0.75, 0.5):
        with other.add_job({"lr": acc}, status="RUNNING") as job:
            job.results["acc"] = acc
    db.add_experiment(schedy.ManualSearch("Loss", minimize="loss"))
    with visit(browser, pages) as page:
        for name in ("Other", NAME):
            page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
        page.get_by_role("link", name="Compare 2").click()
        page.wait_for_url("**/compare?e=2,1")
        expect(page.get_by_role("figure", name=f"Other 0.75, {NAME} 0.58")).to_be_visible()
        beside = page.get_by_role("table", name="Experiments beside each other")
        expect(beside.get_by_role("row", name="best 0.75 0.58")).to_be_visible()
        expect(beside.get_by_role("row", name="jobs ended 3 31")).to_be_visible()
        beside.get_by_role("button", name="pin").first.click()
        expect(beside.get_by_role("row", name="best 0.75 -0.17")).to_be_visible()
        page.get_by_role("button", name="as table").click()
        course = page.get_by_role("dialog").get_by_role("row")
        expect(course.nth(1)).to_have_text(re.compile(r"^10\.250(\.0*)?$"))  # after one job: 0.25 and 0
        expect(course.nth(2)).to_have_text(re.compile(r"^20\.750\.02$"))
        expect(course.nth(4)).to_have_text(re.compile(r"^40\.06$"))  # the other has no job more
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        for over in ("worker time", "time"):
            page.get_by_role("button", name=over, exact=True).click()
            expect(page.get_by_role("button", name=over, exact=True)).to_have_attribute("aria-pressed", "true")
            no_violations(page)
        page.reload()
        expect(page.get_by_role("button", name="time", exact=True)).to_have_attribute("aria-pressed", "true")
        page.goto(f"{pages.base}/compare?e=2,3")
        expect(page.get_by_text("Other maximizes acc, Loss minimizes loss.")).to_be_visible()
        expect(page.get_by_text("schedy compare Other Loss")).to_be_visible()
        expect(page.get_by_role("figure")).to_have_count(0)


def test_operators_add_change_and_amend(browser: Browser, pages: Pages, db: schedy.SchedyDB) -> None:
    with visit(browser, pages) as page:
        page.get_by_role("button", name="Add experiment").click()
        page.get_by_role("textbox", name="Name").fill("Mine")
        no_violations(page)
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_url("**/e/2-Mine")
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("button", name="Change").click()
        page.get_by_role("spinbutton", name="jobs at most").fill("50")
        expect(page.get_by_text("schedy set Mine --max-jobs 50", exact=True)).to_be_visible()
        no_violations(page)
        page.get_by_role("dialog").get_by_role("button", name="Change").click()
        expect(page.get_by_text("Mine was changed.")).to_be_visible()
        assert db.get_experiment("Mine").definition.max_jobs == 50
        expect(page.locator("pre.output")).to_contain_text('"max_jobs": 50')  # the page has it with the next pulse
        page.get_by_role("button", name="Add another like it").click()
        page.get_by_role("textbox", name="Name").fill("Like")
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_url("**/e/3-Like")
        assert db.get_experiment("Like").definition.max_jobs == 50
        page.goto(pages.base)
        open_experiment(page)
        job_id = page.get_by_role("table", name="Jobs").get_by_role("link").first.inner_text()
        page.get_by_role("link", name=job_id, exact=True).first.click()
        page.get_by_role("button", name="Change").click()
        page.get_by_role("textbox", name="acc").fill("0.875")
        no_violations(page)
        page.get_by_role("dialog").get_by_role("button", name="Change").click()
        expect(page.get_by_text(f"The results of {job_id} were changed.")).to_be_visible()
        assert db.get_experiment(NAME).get_job(job_id).results == {"acc": 0.875}


def test_dead_letters_are_put_back_and_dropped(browser: Browser, pages: Pages, settings: Settings) -> None:
    bury(settings.broker_url, b"not json", b"nor this")
    with visit(browser, pages) as page:
        expect(page.get_by_text("2 messages could not be processed: dead letters.")).to_be_visible()
        page.goto(f"{pages.base}/system")
        expect(page.get_by_role("cell", name="nor this")).to_be_visible()
        no_violations(page)
        page.get_by_role("button", name="Put these back").click()
        expect(page.get_by_text("2 put back")).to_be_visible()
        wait_until(lambda: len(dead_letters(settings.broker_url)) == 2, what="their return: they are no better now")
        expect(page.get_by_role("cell", name="nor this")).to_be_visible()  # it may have seen that there was none
        page.get_by_role("button", name="Drop these").click()
        page.get_by_role("button", name="Drop", exact=True).click()
        expect(page.get_by_text("2 dropped")).to_be_visible()
        expect(page.get_by_role("heading", name="Dead letters")).to_have_count(0)
        assert dead_letters(settings.broker_url) == []


def test_what_is_gone_or_away_is_said(
    browser: Browser, pages: Pages, settings: Settings, db: schedy.SchedyDB, service: ResultsService
) -> None:
    with visit(browser, pages) as page:
        open_experiment(page)
        service.stop()
        wait_until(lambda: "service" not in {thread.name for thread in threading.enumerate()}, what="its end")
        with contextlib.closing(Store.open(settings.effective_store_url)) as store, store.transaction() as transaction:
            in_5_s_silent = transaction.now - timedelta(seconds=SILENT_SECONDS - 5)
            transaction.sql.execute(update(Service).values(seen_at=in_5_s_silent))
        page.goto(f"{pages.base}/system")
        expect(page.get_by_text("works", exact=True)).to_be_visible()
        expect(page.get_by_text("does not answer")).to_be_visible()  # nothing writes to the store meanwhile
        page.goto(f"{pages.base}/e/1")
        expect(page.get_by_text("No results service answers since")).to_be_visible()
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.get_by_text("The broker has the change; it will be made")).to_be_visible()
        with running_service(settings):
            expect(page.get_by_role("button", name="Resume")).to_be_visible()
            expect(page.get_by_text("No results service answers")).to_have_count(0)
            db.get_experiment(NAME).delete()
            expect(page.get_by_text("was removed.")).to_be_visible()
    away = settings.model_copy(update={"broker_url": f"amqp://guest:guest@127.0.0.1:{free_port()}/"})
    with serving(away) as elsewhere, visit(browser, elsewhere) as page:
        page.goto(f"{elsewhere.base}/system")
        expect(page.get_by_text("RabbitMQ does not accept").or_(page.get_by_text("refused")).first).to_be_visible()
        no_violations(page)


AN_HOUR_AHEAD = """const Own = Date;
Date = class extends Own {
    constructor(...given) { if (given.length) super(...given); else super(Date.now()); }
    static now() { return Own.now() + 3600_000; }
};"""


def test_times_are_told_by_the_clock_of_the_server(browser: Browser, pages: Pages) -> None:
    with visit(browser, pages) as page:
        page.add_init_script(AN_HOUR_AHEAD)
        page.reload()
        open_experiment(page)
        assert page.evaluate("Date.now() - performance.timeOrigin") > 3_500_000
        expect(page.get_by_text(re.compile(r"^[0-9.]+ s ago$")).first).to_be_visible()
        expect(page.get_by_text(re.compile("min ago|h ago"))).to_have_count(0)


def test_a_store_that_goes_away_is_said_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    database = PostgreSQL()
    database.start()
    try:
        url = database.new_store()
        with contextlib.closing(Store.open(url)) as store:
            Desk(store).add("Wine")
        own = {"store_url": url, "data_dir": tmp_path / "pages"}
        with serving(load_settings(override=own, environment={})) as pages, visit(browser, pages) as page:
            page.get_by_role("link", name="Wine").click()
            expect(page.get_by_role("heading", name="Wine")).to_be_visible()
            database.stop(mode="immediate")
            expect(page.get_by_role("button", name="not connected since")).to_be_visible()
            expect(page.get_by_role("heading", name="Wine")).to_be_visible()  # what was seen last stays
            expect(page.get_by_role("alert")).to_contain_text(f"127.0.0.1:{database.port}")
            no_violations(page)
            page.goto(f"{pages.base}/workers")
            expect(page.get_by_role("alert")).to_contain_text(f"127.0.0.1:{database.port}")
            database.start()
            expect(page.get_by_role("heading", name="No worker is alive")).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)
            expect(page.get_by_role("button", name="live")).to_be_visible()
    finally:
        database.remove()


def test_a_locked_store_is_said_and_comes_back(browser: Browser, sqlite_template: Path, tmp_path: Path) -> None:
    url = copied_store(sqlite_template, tmp_path)
    with contextlib.closing(Store.open(url)) as store:
        Desk(store).add("Wine")
    own = load_settings(override={"store_url": url, "data_dir": tmp_path}, environment={})
    with serving(own) as pages:
        with contextlib.closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            with visit(browser, pages) as page:
                expect(page.get_by_role("alert")).to_have_count(1)
                expect(page.get_by_role("alert")).to_contain_text("is locked by another program. End it, or wait")
                other.close()
                expect(page.get_by_role("link", name="Wine")).to_be_visible()
                expect(page.get_by_role("alert")).to_have_count(0)


def test_a_store_that_is_away_is_told_of_once_for_all_views(browser: Browser, pages: Pages) -> None:
    def away(route: Route) -> None:  # as a server that ends says it to each connection in other words
        error = {"code": "unavailable", "message": f"The store does not answer {route.request.url}."}
        route.fulfill(status=503, json={"error": error})

    with visit(browser, pages) as page:
        page.route("**/api/v1/**", away)
        page.goto(f"{pages.base}/e/1")
        expect(page.get_by_role("button", name="not connected since")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(1)
        expect(page.get_by_role("alert")).to_contain_text("api/v1/pulse")
        page.unroute("**/api/v1/**")
        expect(page.get_by_role("heading", name="Wine")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)


def test_generations_are_drawn_with_their_parents(browser: Browser, settings: Settings, db: schedy.SchedyDB) -> None:
    search = schedy.PopulationBasedTraining(
        "Population",
        schedy.pbt.MAXIMIZE,
        "acc",
        explore={"rate": schedy.pbt.Perturb(0.5, 2)},
        initial_distributions={"rate": schedy.random.LogUniform(0.001, 10)},
        population_size=3,
        max_generations=3,
    )
    db.add_experiment(search)
    for number, job in enumerate(search.jobs()):
        with job:
            job.results["acc"] = number / 10
    with serving(settings) as pages, visit(browser, pages) as page:
        page.goto(f"{pages.base}/e/1")
        figure = page.get_by_role("region", name="Generations")
        expect(figure.get_by_text("acc of 9 jobs in 3 generations")).to_be_visible()
        figure.get_by_role("button", name="as table").click()
        expect(page.get_by_role("dialog").get_by_role("row")).to_have_count(10)


def test_a_page_asks_for_few_things(browser: Browser, pages: Pages) -> None:
    with visit(browser, pages) as first, contextlib.closing(first.context.new_page()) as page:
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(f"{pages.base}/e/1")
        expect(page.get_by_role("table", name="Jobs").get_by_role("link").nth(JOBS)).to_be_visible()
        assert len([each for each in asked if not each.startswith("data:")]) <= 12, sorted(asked)
    [script] = [each.removeprefix(pages.base) for each in asked if each.endswith("/js/app.js")]
    sent = pages.ask(script, headers={"Accept-Encoding": "gzip"})
    assert (sent.headers["content-encoding"], sent.headers["cache-control"][-9:]) == ("gzip", "immutable")
    assert len(sent.body) < 60_000


def test_the_keyboard_is_enough(browser: Browser, pages: Pages) -> None:
    with visit(browser, pages) as page:
        open_experiment(page)
        for key in ("j", "x", "j", "j", "X"):
            page.keyboard.press(key)
        expect(page.get_by_text("3 selected")).to_be_visible()
        page.keyboard.press("c")
        expect(page.get_by_role("table", name="Jobs beside each other")).to_be_visible()
        page.keyboard.press("g")
        page.keyboard.press("w")
        expect(page.get_by_role("heading", name="Workers")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_without_a_token_or_a_server_the_pages_say_so(
    browser: Browser, settings: Settings, search: schedy.TPESearch
) -> None:
    with serving(settings) as pages, browser.new_context() as context:
        page = context.new_page()
        page.goto(pages.base)
        expect(page.get_by_text("This address needs a token.")).to_be_visible()
        page.get_by_label("Token").fill(pages.tokens.watch)
        page.get_by_role("button", name="Go").click()
        open_experiment(page)
        assert pages.tokens.watch not in page.url
        context.set_offline(True)
        expect(page.get_by_text("not connected since")).to_be_visible()
        expect(page.get_by_role("table", name="Jobs")).to_be_visible()
        context.set_offline(False)
        expect(page.get_by_role("button", name="live")).to_be_visible()
