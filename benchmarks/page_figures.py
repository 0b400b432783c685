"""The web pages in a real browser, over an experiment of very many jobs; and many viewers at once."""

import contextlib
import gzip
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

from benchmarks import servers
from benchmarks.command_figures import memory_of, schedy
from benchmarks.figures import Figure, Scale, median, percentile
from benchmarks.peers.dashboard import Dashboard
from benchmarks.read_figures import very_many_jobs
from benchmarks.servers import Servers
from schedy import ManualSearch

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ROWS = "table[aria-label=Jobs] tbody tr"
_LINK = re.compile(r"Watch\s+(http://\S+)")
_VIEWERS = 200
_COMING_SECONDS = 10.0
_VIEW_SECONDS = 2.0
_MEGABYTE = 1_000_000
_PACKED = b"\x1f\x8b"
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_NOTE = """
window.seen = {};
const note = (name, isThere) => { if (!window.seen[name] && isThere) window.seen[name] = performance.now(); };
new MutationObserver(() => {
    note("rows", document.querySelector("ROWS"));
    note("charts", document.querySelector("section[aria-label='Parallel coordinates'] canvas")
        && document.querySelector(".uplot canvas"));
}).observe(document, { subtree: true, childList: true });
"""
"""Notes in the page when its parts are there: what asks from outside waits for the browser, too."""
_SORT = """() => new Promise((done) => {
    const first = () => document.querySelector("ROWS a").textContent;
    const [before, begun] = [first(), performance.now()];
    new MutationObserver(() => first() === before || done(performance.now() - begun))
        .observe(document.querySelector("ROWS").parentElement, { subtree: true, childList: true, characterData: true });
    const headings = [...document.querySelectorAll("table[aria-label=Jobs] th button")];
    headings.find((each) => each.textContent.startsWith("x")).click();
})"""
_SENT = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .map((each) => [each.name, each.transferSize])"""


def page_figures(where: Servers, scale: Scale) -> Iterator[Figure]:
    """Yield what a person waits for, and what the server needs; nothing where there is no browser."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        print("PAGES: not measured, there is no Chromium.", file=sys.stderr)
        return
    with _serving(where) as (process, link, seconds):
        yield Figure("schedy ui, start to first answer", "ms", seconds * 1000, None, "target: under 1,500")
        number = _number_of(link, very_many_jobs(where))
        looks = [_look(program, where.folder, link, number) for _ in range(max(2, scale.starts // 2))]
        with Dashboard(where.folder, trials=scale.dashboard_trials) as dashboard:
            peer = (
                [_look_at_dashboard(program, where.folder, dashboard.address) for _ in range(2)]
                if dashboard.address
                else []
            )
        yield from _of_looks(looks, peer, f"{scale.read:,} jobs", f"{scale.dashboard_trials:,} trials")
        yield from _of_viewers(where, process, link, number, scale)


def _of_looks(looks: list["_Look"], peer: list["_Look"], jobs: str, trials: str) -> Iterator[Figure]:
    def _row(name: str, unit: str, which: str, target: str) -> Figure:
        beside = [getattr(each, which) for each in peer]
        said = f"target: {target}" + (f"; beside optuna-dashboard with {trials}" if peer else "")
        return Figure(
            name, unit, median([getattr(each, which) for each in looks]), median(beside) if beside else None, said
        )

    yield _row(f"page of {jobs}, first paint", "ms", "paint_ms", "under 300")
    yield _row(f"page of {jobs}, rows", "ms", "rows_ms", "under 700")
    yield _row(f"page of {jobs}, charts", "ms", "charts_ms", "under 1,200")
    yield Figure(f"page of {jobs}, another order", "ms", median([e.sort_ms for e in looks]), None, "target: under 150")
    yield _row(f"page of {jobs}, sent", "kB", "sent_kb", "-")
    yield _row(f"page of {jobs}, requests", "", "requests", "12 at most")
    yield _row(f"page of {jobs}, heap", "MB", "heap_mb", "under 40")


@dataclass(frozen=True)
class _Look:
    """What one look at a page cost, from the click on its link, with an empty cache."""

    paint_ms: float
    rows_ms: float
    charts_ms: float
    sort_ms: float
    sent_kb: float
    requests: float
    heap_mb: float


@contextlib.contextmanager
def _serving(where: Servers) -> Iterator[tuple["subprocess.Popen[bytes]", str, float]]:
    """Run `schedy ui`; yields the process, its link and the seconds until it answered."""
    started = time.perf_counter()
    process = servers.start(schedy("ui", "--port", "0"), where.environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        found = next(filter(None, (_LINK.search(line.decode()) for line in process.stdout)))
        address = urlsplit(found[1])
        while not _answers(address.netloc):
            time.sleep(0.02)
        yield process, found[1], time.perf_counter() - started
    finally:
        servers.end(process)
        assert process.stdout is not None
        process.stdout.close()


def _answers(netloc: str) -> bool:
    connection = http.client.HTTPConnection(netloc)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _number_of(link: str, name: str) -> int:
    viewer = _Viewer(link, [])
    listed = _parsed(viewer.get("experiments?limit=1000"))["experiments"]
    return next(int(each["number"]) for each in listed if each["name"] == name)


def _parsed(body: bytes) -> Any:
    return json.loads(gzip.decompress(body) if body.startswith(_PACKED) else body)


@contextlib.contextmanager
def _page(program: str, home: Path) -> Iterator[Any]:
    """Open a page in a browser of its own, which leaves nothing in the home of who measures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env={**os.environ, "HOME": str(home)})
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def _look(program: str, home: Path, link: str, number: int) -> _Look:
    with _page(program, home) as page:
        page.context.request.get(link)  # for the cookie; the browser has nothing in its cache
        page.add_init_script(_NOTE.replace("ROWS", _ROWS))
        page.goto(f"{link.partition('/?')[0]}/e/{number}", wait_until="commit")
        page.wait_for_function("() => window.seen?.rows && window.seen?.charts")
        seen, sent = page.evaluate("window.seen"), dict(page.evaluate(_SENT))
        page.evaluate("() => new Promise(requestIdleCallback)")  # all charts are drawn
        sort_ms = page.evaluate(_SORT.replace("ROWS", _ROWS))
        kilobytes = sum(sent.values()) / 1000
        return _Look(page.evaluate(_PAINT), seen["rows"], seen["charts"], sort_ms, kilobytes, len(sent), _heap_mb(page))


def _look_at_dashboard(program: str, home: Path, address: str) -> _Look:
    """The page of a study in optuna-dashboard: its points are drawn, and its table is another page."""
    with _page(program, home) as page:
        page.goto(f"{address}/dashboard/studies/1", wait_until="commit")
        page.wait_for_selector(".js-plotly-plot .scatterlayer .trace, .js-plotly-plot canvas")
        drawn = page.evaluate("performance.now()")
        sent = page.evaluate(_SENT)
        kilobytes = sum(size for _name, size in sent) / 1000
        return _Look(page.evaluate(_PAINT), drawn, drawn, 0.0, kilobytes, len(sent), _heap_mb(page))


def _heap_mb(page: Any) -> float:
    return float(page.evaluate("performance.memory.usedJSHeapSize")) / _MEGABYTE


def _of_viewers(
    where: Servers, process: "subprocess.Popen[bytes]", link: str, number: int, scale: Scale
) -> Iterator[Figure]:
    """Yield the cost of many viewers, each with a view of its own, while jobs of another experiment end and later."""
    views = [f"experiments/{number}", f"experiments/{number}/jobs?limit=50", f"experiments/{number}/sample"]
    views += ["experiments?limit=200&after=0", "workers", "events?limit=50"]
    crowd = [_Viewer(link, views[place % len(views) :][:1], place / _VIEWERS) for place in range(_VIEWERS)]
    with where.connect() as db, _ending(db, where):
        share = _share_while_watched(crowd, process.pid, scale.beat_seconds)
    waits = [wait for each in crowd for wait in each.waits]
    yield Figure(f"{_VIEWERS} viewers, processor", "% core", 100 * share, None, "target: under 20; jobs end meanwhile")
    yield Figure(f"{_VIEWERS} viewers, p99", "ms", 1000 * percentile(waits, 0.99), None, "target: under 100")
    share = _share_while_watched(crowd, process.pid, scale.beat_seconds)
    yield Figure(f"{_VIEWERS} viewers, nothing happens", "% core", 100 * share, None, "target: under 8")
    resident = memory_of(process.pid, "VmRSS") / _MEGABYTE
    yield Figure("schedy ui, memory after that", "MB", resident, None, "target: under 110")


def _share_while_watched(crowd: list["_Viewer"], pid: int, seconds: float) -> float:
    """Return how much of a core a process needs while all viewers are there, who come one after another."""
    until = time.monotonic() + _COMING_SECONDS + seconds
    with ThreadPoolExecutor(len(crowd)) as threads:
        watches = [threads.submit(each.watch, until) for each in crowd]
        time.sleep(_COMING_SECONDS)
        before, started = _cpu_seconds(pid), time.perf_counter()
        for watch in watches:
            watch.result()
    return (_cpu_seconds(pid) - before) / (time.perf_counter() - started)


@contextlib.contextmanager
def _ending(db: Any, where: Servers) -> Iterator[None]:
    """Have jobs of another experiment end meanwhile, some fifty in a second."""
    experiment = ManualSearch(f"{where.name}-viewed")
    db.add_experiment(experiment)
    over = threading.Event()

    def _end_jobs() -> None:
        while not over.wait(0.02):
            experiment.add_job({"x": 1})
            with experiment.next_job(timeout=10) as job:
                job.results["y"] = 1

    thread = threading.Thread(target=_end_jobs)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class _Viewer:
    """A browser's tab, without the drawing: the pulse as often as the server wishes, its views when it has changed."""

    link: str
    views: list[str]
    chance: float = 0.0
    """From 0 to 1, other for each: when it comes, and how much longer or shorter than told it waits."""
    waits: list[float] = field(default_factory=list)
    _tags: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None

    def watch(self, until: float) -> None:
        """Watch until a moment, after a while: people do not open their tabs in one moment."""
        time.sleep(_COMING_SECONDS * self.chance)
        self._connection = None
        version, asked_at, pause = None, 0.0, 1.0
        while time.monotonic() < until:
            began = time.monotonic()
            pulse = self.get("pulse")
            told = _parsed(pulse) if pulse else {}
            seen, pause = told.get("version"), told.get("ask_again_seconds", pause)
            if seen and seen != version and began - asked_at > _VIEW_SECONDS:
                version, asked_at = seen, began
                for view in self.views:
                    self.get(view)
            time.sleep(max(0.0, began + pause * (0.9 + 0.2 * self.chance) - time.monotonic()))

    def get(self, address: str) -> bytes:
        """Return the answer as a browser gets it, packed if it is large; nothing where it is the same as before."""
        url = urlsplit(self.link)
        self._connection = self._connection or http.client.HTTPConnection(url.netloc, timeout=60)
        headers = {"Authorization": f"Bearer {url.query.partition('=')[2]}", "Accept-Encoding": "gzip"}
        if address in self._tags:
            headers["If-None-Match"] = self._tags[address]
        started = time.perf_counter()
        self._connection.request("GET", f"/api/v1/{address}", headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        self.waits.append(time.perf_counter() - started)
        self._tags[address] = answer.headers.get("ETag") or ""
        return body
