"""The HTTP API of the pages: who may ask, what is answered, and changes through the broker."""

import contextlib
import csv
import json
import math
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

import schedy
from schedy.settings import Settings, load_settings
from schedy.wire.changes import NewJob
from schedy.wire.requests import GetExperiments
from schedy_broker_setup.node.node import free_port
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Service
from schedy_store.service.loop import ResultsService
from schedy_web.reading import StoreReads, TooSlowError
from schedy_web.service_state import SILENT_SECONDS
from schedy_web.tokens import TOKENS_FILE, Tokens
from tests.integration.test_dead_letters import bury
from tests.integration.test_store import Desk
from tests.support import wait_until
from tests.web_server import Pages, serving


@pytest.fixture
def pages(settings: Settings, db: schedy.SchedyDB) -> Iterator[Pages]:
    """Pages of a store with a search of some jobs: two DONE, one CRASHED, one QUEUED."""
    search = schedy.TPESearch(
        "Wine/x <script>",
        {"lr": schedy.random.LogUniform(1e-4, 1), "model": schedy.random.Choice(["a", "b"])},
        maximize="acc",
        ready=0,
    )
    db.add_experiment(search)
    for acc in (0.5, 0.75):
        with search.add_job({"lr": acc / 10, "model": "a"}, status="RUNNING") as job:
            job.report(0, acc=acc / 2)
            job.report(1, acc=acc)
            job.results["acc"] = acc
            job.results["odd"] = float("nan")
    with pytest.raises(ZeroDivisionError), search.add_job({"lr": 0.5, "model": "b"}, status="RUNNING"):
        raise ZeroDivisionError("boom")
    search.add_job({"lr": 0.1, "model": "b"})
    with serving(settings) as running:
        yield running


def test_every_view_has_its_numbers(pages: Pages, settings: Settings) -> None:
    pulse = pages.get("pulse")
    assert (pulse["totals"]["DONE"], pulse["totals"]["CRASHED"], pulse["totals"]["QUEUED"]) == (2, 1, 1)
    assert pulse["operate"] is False
    assert pulse["problems"] == []
    [listed] = pages.get("experiments")["experiments"]
    number = listed["number"]
    assert (listed["name"], listed["best"]["value"], listed["ended"]) == ("Wine/x <script>", 0.75, 3)
    shown = pages.get(f"experiments/{number}-anything")
    fields = {field["field"]: field for field in shown["fields"]}
    assert (fields["lr"]["log"], fields["lr"]["low"], fields["model"]["choices"]) == (True, 1e-4, ["a", "b"])
    jobs = pages.get(f"experiments/{number}/jobs?sort=-result.acc&limit=1")
    best = jobs["jobs"][0]
    assert (best["results"]["acc"], best["results"]["odd"], jobs["total"]) == (0.75, "NaN", 4)
    following = pages.get(f"experiments/{number}/jobs?sort=-result.acc&limit=1&after={jobs['next']}")["jobs"][0]
    assert following["results"]["acc"] == 0.5
    sample = pages.get(f"experiments/{number}/sample")
    assert (sample["of"], sorted(sample["status"]), sample["results"]["acc"][:2]) == (
        3,
        ["CRASHED", "DONE", "DONE"],
        [0.5, 0.75],
    )
    curves = pages.get(f"experiments/{number}/curves?ids={best['id']}")["curves"]
    assert [(curve["steps"], curve["values"]) for curve in curves] == [([0, 1], [0.375, 0.75])]
    [error] = pages.get(f"experiments/{number}/errors")["errors"]
    assert (error["error"], error["jobs"]) == ("ZeroDivisionError: boom", 1)
    crashed = pages.get(f"experiments/{number}/jobs/{error['example']}")
    assert "boom" in crashed["output"]["traceback"]
    assert [event["kind"] for event in crashed["events"]][-1] == "ended"
    assert pages.get(f"experiments/{number}/best")["jobs"][0]["id"] == best["id"]
    assert pages.get(f"experiments/{number}/events?kind=ended&text=boom")["events"][0]["job"] == error["example"]
    assert len(pages.get("events")["events"]) > 4
    assert pages.get("workers?gone=1")["workers"]
    system = pages.get("system")
    assert (system["store"]["kind"], system["service"]["alive"]) == ("SQLite", True)
    assert settings.broker_url.partition("://")[2].partition("@")[0].partition(":")[2] not in str(system)


def test_conditions_choose_what_is_shown_changed_and_saved(pages: Pages, db: schedy.SchedyDB) -> None:
    def _ids(parameters: str) -> list[str]:
        return [job["id"] for job in pages.get(f"experiments/1/jobs?{parameters}")["jobs"]]

    everything = _ids("")
    assert len(everything) == 4
    assert _ids("where=acc+%3E+0.6") == everything[:1]
    assert _ids("where=model+%3D+b&status=QUEUED") == _ids("status=QUEUED")
    assert pages.get("experiments/1/jobs?limit=1&where=lr+there&count=1")["total"] == 4
    refused = pages.ask("/api/v1/experiments/1/jobs?where=lrr+%3E+1", token=pages.tokens.watch)
    assert (refused.status, "Did you mean 'lr'?" in refused.json["error"]["message"]) == (400, True)
    matching = {"where": ["model = b"], "status": ["QUEUED"]}
    conflict = pages.change("POST", "experiments/1/jobs/cancel", {**matching, "expect": 3})
    assert (conflict.status, "1 jobs match now, not 3." in conflict.json["error"]["message"]) == (409, True)
    assert len(pages.change("POST", "experiments/1/jobs/cancel", {**matching, "expect": 1}).json["outcomes"]) == 1
    text = pages.ask("/api/v1/experiments/1/jobs.csv", token=pages.tokens.watch).body.decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["status"] for row in rows] == ["DONE", "DONE", "CRASHED", "PRUNED"]
    assert (rows[1]["result.acc"], rows[1]["lr"]) == ("0.75", "0.075")
    chosen = pages.ask("/api/v1/experiments/1/jobs.csv?where=acc+%3E+0.6", token=pages.tokens.watch).body.decode()
    assert len(chosen.splitlines()) == 2
    lines = pages.ask("/api/v1/experiments/1/jobs.jsonl?status=DONE", token=pages.tokens.watch)
    assert lines.headers["content-disposition"].endswith('.jsonl"')
    jobs = [json.loads(line) for line in lines.body.splitlines()]
    assert [(job["status"], job["results"]["acc"], job["results"]["odd"]) for job in jobs] == [
        ("DONE", 0.5, "NaN"),
        ("DONE", 0.75, "NaN"),
    ]


@pytest.mark.parametrize("sort", ["-result.acc", "acc", "-id", "model", ""])
def test_the_next_page_goes_on_behind_the_last_job(pages: Pages, db: schedy.SchedyDB, sort: str) -> None:
    """However many jobs have come before it, or ended, since that page was made; without it where it was."""
    search = db.get_experiment("Wine/x <script>")
    whole = [job["id"] for job in pages.get(f"experiments/1/jobs?sort={sort}")["jobs"]]
    first = pages.get(f"experiments/1/jobs?sort={sort}&limit=2")
    assert ([job["id"] for job in first["jobs"]], first["total"]) == (whole[:2], 4)
    for acc in (0.9, 0.1):
        with search.add_job({"lr": 0.2, "model": "a"}, status="RUNNING") as job:
            job.results["acc"] = acc
    following = pages.get(f"experiments/1/jobs?sort={sort}&after={first['next']}")
    assert following["next"] is None
    assert [each for each in (job["id"] for job in following["jobs"]) if each in whole] == whole[2:]
    search.get_job(whole[1]).delete()
    now = [job["id"] for job in pages.get(f"experiments/1/jobs?sort={sort}&limit=9")["jobs"]]
    after_two = pages.get(f"experiments/1/jobs?sort={sort}&after={first['next']}&limit=9")
    assert [job["id"] for job in after_two["jobs"]] == now[2:]


def test_a_trend_has_each_improvement_and_none_of_a_removed_job(pages: Pages, db: schedy.SchedyDB) -> None:
    assert pages.get("trends") == {"trends": {"1": [[1, 0.5], [2, 0.75]]}, "more": False}
    [first] = [job for job in db.get_experiment("Wine/x <script>").all_jobs() if job.results.get("acc") == 0.5]
    first.delete()
    wait_until(lambda: pages.get("trends")["trends"] == {"1": [[2, 0.75]]}, seconds=10, what="the trend without it")


def test_answers_that_have_not_changed_are_not_sent_again(pages: Pages) -> None:
    first = pages.ask("/api/v1/experiments", token=pages.tokens.watch, headers={"Accept-Encoding": "gzip"})
    again = pages.ask("/api/v1/experiments", token=pages.tokens.watch, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_bad_addresses_say_what_is_wrong(pages: Pages) -> None:
    for address, status, words in (
        ("experiments/99", 404, "no experiment number 99"),
        ("experiments/x", 400, "no number"),
        ("experiments/1/jobs/nojob0", 404, "no job 'nojob0'"),
        ("experiments/1/jobs?sort=nothing", 400, "No job has a field 'nothing'"),
        ("experiments/1/jobs?limit=-1", 400, "limit=-1"),
        ("experiments/1/jobs?after=2.x", 400, "after=2.x: expected the `next` of a page"),
        ("experiments/1/jobs?after=1000001", 400, "after=1000001"),
        ("nothing", 404, "no such address"),
    ):
        reply = pages.ask(f"/api/v1/{address}", token=pages.tokens.watch)
        assert (reply.status, words in reply.json["error"]["message"]) == (status, True), (address, reply.body)


def test_only_those_with_a_token_may_look_and_only_operators_may_change(pages: Pages, settings: Settings) -> None:
    assert pages.ask("/healthz").body == b"ok\n"
    assert pages.ask("/api/v1/pulse").status == 401
    assert pages.ask("/api/v1/pulse", token="w-wrong").status == 401
    for method in ("PATCH", "DELETE", "POST"):
        assert pages.ask("/api/v1/experiments/1", method=method, token=pages.tokens.watch, body={}).status == 403
    good = {"Content-Type": "application/json", "X-Schedy": "1"}
    for headers, status in (
        ({**good, "Origin": "http://evil.example"}, 403),
        ({**good, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json"}, 403),
        ({**good, "Content-Type": "text/plain"}, 400),
    ):
        reply = pages.ask(
            "/api/v1/experiments/1", method="PATCH", token=pages.tokens.operate, headers=headers, body={"paused": True}
        )
        assert reply.status == status, headers
    foreign = pages.ask("/", headers={"Host": "evil.example:80"})
    assert foreign.status == 421
    assert pages.ask("/", headers={"Host": "schedy.example.org"}).status == 200
    entry = pages.ask(f"/e/1?tab=events&token={pages.tokens.watch}")
    cookie = entry.headers["set-cookie"]
    assert (entry.status, entry.headers["location"]) == (303, "/e/1?tab=events")
    assert pages.tokens.watch not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert pages.ask("/api/v1/pulse", headers={"Cookie": cookie.partition(";")[0]}).status == 200
    assert "set-cookie" not in pages.ask("/?token=w-wrong").headers
    assert pages.ask(f"//evil.example/?token={pages.tokens.watch}").headers["location"] == "/evil.example/"
    page = pages.ask("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not [name for name in page.headers if name.startswith("access-control")]
    file = settings.data_dir / TOKENS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Tokens.kept(file) == pages.tokens
    assert Tokens.kept(file, renew=True) != pages.tokens


def test_operators_pause_push_cancel_retry_and_remove(pages: Pages, db: schedy.SchedyDB) -> None:
    assert pages.change("PATCH", "experiments/1", {"paused": True}).json == {"stored": True}
    assert db.get_experiment("Wine/x <script>").paused
    assert pages.change("PATCH", "experiments/1", {"paused": "yes"}).status == 400
    pushed = pages.change("POST", "experiments/1/jobs", {"hyperparameters": {"lr": 0.01, "model": "a"}}).json
    [job_id] = pushed["ids"]
    refused = pages.change("POST", "experiments/1/jobs", {"hyperparameters": {"model": "a"}})
    assert (refused.status, "lr" in refused.json["error"]["message"]) == (400, True)
    ids = {"ids": [job_id, "nojob0"]}
    outcomes = pages.change("POST", "experiments/1/jobs/cancel", ids).json["outcomes"]
    assert [(each["id"], each["changed"]) for each in outcomes] == [(job_id, True), ("nojob0", False)]
    [retried] = pages.change("POST", "experiments/1/jobs/retry", {"ids": [job_id]}).json["outcomes"]
    assert retried["changed"]
    removed = pages.change("POST", "experiments/1/jobs/remove", {"ids": ["nojob0", job_id]}).json["outcomes"]
    assert [(each["id"], each["changed"]) for each in removed] == [("nojob0", False), (job_id, True)]
    assert pages.change("POST", "experiments/1/jobs/explode", {"ids": [job_id]}).status == 404
    assert pages.change("POST", "experiments/1/jobs/cancel", b"{").status == 400
    assert pages.change("DELETE", "experiments/1", {"name": "other"}).status == 400
    assert pages.change("DELETE", "experiments/1", {"name": "Wine/x <script>"}).status == 200
    assert pages.get("experiments")["experiments"] == []


DEFINITION = """
objectives = [{result = "loss", direction = "minimize"}]
max_jobs = 40
limits = {job_timeout = 60}

[hyperparameters]
lr = "loguniform(1e-5, 0.1)"
"""


def test_operators_add_and_change_experiments(pages: Pages, db: schedy.SchedyDB) -> None:
    added = pages.change("POST", "experiments", {"name": "Mine", "definition": DEFINITION}).json
    shown = pages.get(f"experiments/{added['number']}")
    assert (shown["scheduler"], shown["max_jobs"], shown["limits"]["job_timeout"]) == ("auto", 40, 60)
    like = {"name": "Like", "definition": '{"algorithm": "manual"}', "language": "JSON"}
    assert pages.change("POST", "experiments", like).json["name"] == "Like"
    for wrong, status, words in (
        ({"name": "Mine", "definition": DEFINITION}, 409, "Mine"),
        ({"name": "Bad", "definition": "max_jobs = "}, 400, "it is not TOML"),
        ({"name": "Bad", "definition": "max_jobs = 3"}, 400, "Name an algorithm"),
        ({"name": "Bad", "definition": 'algorithm = "tpe"'}, 400, "needs at least one hyperparameter"),
        ({"name": "Bad", "definition": "x" * 10, "language": "YAML"}, 400, "language"),
        ({"name": "a\n", "definition": DEFINITION}, 400, "name"),
    ):
        refused = pages.change("POST", "experiments", wrong)
        assert (refused.status, words in refused.json["error"]["message"]) == (status, True), refused.body
    one = f"experiments/{added['number']}"
    changes = {"settings": {"max_jobs": 50, "pruner": {"median": {}}}, "limits": {"job_timeout": None}}
    assert pages.change("PATCH", one, changes).status == 200
    shown = pages.get(one)
    assert (shown["max_jobs"], shown["limits"]["job_timeout"], shown["prunes"]) == (50, None, True)
    faults: tuple[tuple[dict[str, object], str], ...] = (
        ({"settings": {"seed": 3}}, "Nothing to change"),
        ({"settings": {"max_jobs": -1}}, "max_jobs"),
        ({"limits": {"job_timeout": "long"}}, "job_timeout"),
        ({"limits": 3}, "Nothing to change"),
    )
    for fault, words in faults:
        refused = pages.change("PATCH", one, fault)
        assert (refused.status, words in refused.json["error"]["message"]) == (400, True), refused.body


def test_operators_change_the_results_of_a_job_that_nobody_else_has_changed(pages: Pages, db: schedy.SchedyDB) -> None:
    best = pages.get("experiments/1/best")["jobs"][0]
    address = f"experiments/1/jobs/{best['id']}"
    change = {"results": {"acc": 0.25}, "revision": best["revision"]}
    assert pages.change("PATCH", address, change).json["revision"] == best["revision"] + 1
    stored = db.get_experiment("Wine/x <script>").get_job(best["id"])
    assert (stored.results["acc"], math.isnan(stored.results["odd"]), stored.quality) == (0.25, True, 0.25)
    removal = {"results": {"note": "by hand"}, "remove": ["odd"], "revision": best["revision"] + 1}
    assert pages.change("PATCH", address, removal).status == 200
    assert db.get_experiment("Wine/x <script>").get_job(best["id"]).results == {"acc": 0.25, "note": "by hand"}
    assert pages.change("PATCH", address, change).status == 409
    assert pages.change("PATCH", address, {"results": {"acc": 1}}).status == 400


def test_the_broker_and_its_dead_letters_are_seen_and_settled(pages: Pages, settings: Settings) -> None:
    system = pages.get("system")["broker"]
    assert (system["dead_letters"], system["services"], system["problem"]) == (0, 1, "")
    assert system["version"]
    bury(settings.broker_url, b"not json", b"nor this")
    wait_until(lambda: len(pages.get("system/dead")["letters"]) == 2)
    assert {letter["body"] for letter in pages.get("system/dead")["letters"]} == {""}
    [first, second] = pages.ask("/api/v1/system/dead", token=pages.tokens.operate).json["letters"]
    assert (first["number"], second["number"], first["body"]) == (1, 2, "not json")
    assert pages.change("POST", "system/dead/drop", {"numbers": [7]}).status == 404
    assert pages.change("POST", "system/dead/drop", {"numbers": []}).status == 400
    assert pages.change("POST", "system/dead/burn", {"all": True}).status == 404
    dropped = pages.change("POST", "system/dead/drop", {"numbers": [1]}).json["outcomes"]
    assert dropped == [{"number": 1, "detail": "dropped"}]
    wait_until(lambda: pages.get("system")["broker"]["dead_letters"] == 1)
    assert [each["kind"] for each in pages.get("pulse")["problems"]] == ["dead_letters"]
    [replayed] = pages.change("POST", "system/dead/replay", {"all": True}).json["outcomes"]
    assert replayed["detail"] == "put back"
    wait_until(lambda: len(pages.get("system/dead")["letters"]) == 1)  # it cannot be processed now either


def test_a_prefix_may_be_stripped_or_not_and_nobody_changes_what_is_read_only(
    settings: Settings, db: schedy.SchedyDB
) -> None:
    db.add_experiment(schedy.ManualSearch("Some"))
    with serving(settings, prefix="/schedy", read_only=True) as pages:
        assert b'content="/schedy"' in pages.ask("/").body
        for path in ("/api/v1/pulse", "/schedy/api/v1/pulse"):
            assert pages.ask(path, token=pages.tokens.operate).json["operate"] is False
        assert pages.ask("/schedy?token=" + pages.tokens.watch).headers["location"] == "/schedy/"
        assert pages.change("PATCH", "experiments/1", {"paused": True}).status == 403


def test_every_view_reads_both_databases(store_url: str, tmp_path: Path) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        desk = Desk(store)
        experiment = desk.add()
        ended = [NewJob(hyperparameters={"x": x}, results={"loss": x / 2}, status="DONE") for x in range(3)]
        desk.push(experiment, *ended, NewJob(hyperparameters={"x": 9}))
        own = load_settings(override={"store_url": store_url, "data_dir": tmp_path / "pages"}, environment={})
        with serving(own) as pages:
            assert pages.get("pulse")["totals"]["DONE"] == 3
            for view in ("experiments", "experiments/1", "events", "workers", "system"):
                assert pages.get(view)
            for view in ("sample", "curves", "errors", "best", "events", "jobs?sort=-x&where=loss+%3E+0.4&count=1"):
                assert pages.get(f"experiments/1/{view}")
            assert [job["results"] for job in pages.get("experiments/1/jobs?where=loss+%3E+0.6")["jobs"]] == [
                {"loss": 1.0}
            ]
            desk.push(experiment, NewJob(hyperparameters={"x": 10}))
            wait_until(lambda: pages.get("pulse")["totals"]["QUEUED"] == 2, seconds=10, what="the change in the pulse")


def test_experiments_are_looked_for_in_all_pages(store_url: str, tmp_path: Path) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        desk = Desk(store)
        for name in ("Wine 1", "Beer", "Wine 2", "Wine 3"):
            experiment = desk.add(name, **({"status": "DONE"} if name == "Wine 2" else {}))
        desk.push(experiment, NewJob(hyperparameters={}))
    own = load_settings(override={"store_url": store_url, "data_dir": tmp_path / "pages"}, environment={})
    with serving(own) as pages:

        def _listed(query: str) -> tuple[list[str], int | None]:
            answer = pages.get(f"experiments?{query}")
            return [each["name"] for each in answer["experiments"]], answer["next"]

        assert _listed("limit=2") == (["Wine 3", "Wine 2"], 3)
        assert _listed("limit=2&after=3") == (["Beer", "Wine 1"], None)
        assert _listed("name=wine&limit=2") == (["Wine 3", "Wine 2"], 3)
        assert _listed("name=wine&state=done") == (["Wine 2"], None)
        assert _listed("state=waiting&limit=1") == (["Wine 3"], 4)
        assert _listed("state=waiting&limit=1&after=4") == (["Beer"], 2)
        assert _listed("state=paused") == ([], None)
        refused = pages.ask("/api/v1/experiments?state=odd", token=pages.tokens.watch)
        assert (refused.status, "expected one of running, waiting" in refused.json["error"]["message"]) == (400, True)


def test_what_the_pulse_tells_is_in_the_answers_that_are_asked_for_then(
    pages: Pages, settings: Settings, service: ResultsService
) -> None:
    service.stop()
    with contextlib.closing(Store.open(settings.effective_store_url)) as store, store.transaction() as transaction:
        in_3_s_silent = transaction.now - timedelta(seconds=SILENT_SECONDS - 3)
        transaction.sql.execute(update(Service).values(seen_at=in_3_s_silent))

    def _told_and_alive() -> tuple[bool, bool]:
        """Ask as a page does, for the pulse first: what is kept of the rest is a little younger."""
        problems = [each["kind"] for each in pages.get("pulse")["problems"]]
        return "service" in problems, pages.get("system")["service"]["alive"]

    assert wait_until(lambda: (seen := _told_and_alive())[0] and seen, what="the silence in the pulse") == (True, False)


def test_the_pulse_tells_that_the_broker_is_away_though_nobody_asks(store_url: str, tmp_path: Path) -> None:
    """The store does not change meanwhile, and no results service runs: the pulse itself has the broker looked at."""
    away = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    settings = {"store_url": store_url, "data_dir": tmp_path / "pages", "broker_url": away}
    with serving(load_settings(override=settings, environment={})) as pages:

        def _kinds() -> set[str]:
            return {each["kind"] for each in pages.get("pulse")["problems"]}

        wait_until(lambda: "broker" in _kinds(), what="the pulse tells of the broker")


def test_a_read_that_takes_long_is_ended_and_the_next_one_is_not(store_url: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with contextlib.closing(Store.open(store_url, read_only=True)) as store:
        reads = StoreReads(store, longest_seconds=0.2)
        with pytest.raises(TooSlowError, match=r"longer than 0\.2 s"), reads.transaction() as transaction:
            transaction.sql.exec_driver_sql(endless)
        assert reads.ask(GetExperiments()).experiments == []
