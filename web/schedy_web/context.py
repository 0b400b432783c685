"""What the endpoints work with: the store, kept answers, and the broker for those who may change something."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from schedy.settings import Settings
from schedy.worker.session import Session
from schedy_store.lifecycle.job_counts import job_counts
from schedy_store.schema.tables import Event, Experiment
from schedy_web.answers import Body, KeptAnswers, Tag
from schedy_web.broker_state import BrokerLook
from schedy_web.json_values import to_json
from schedy_web.pace import Beat, Pace
from schedy_web.reading import StoreReads
from schedy_web.security import Access
from schedy_web.trends import Trends

_CHANGE_SECONDS = 10.0


@dataclass
class Context:
    """Shared by all requests. Any thread may use it."""

    settings: Settings
    access: Access
    reads: StoreReads
    kept: KeptAnswers
    broker: BrokerLook
    trends: Trends = field(default_factory=Trends)
    pace: Pace = field(default_factory=Pace)
    beat: Beat = field(default_factory=Beat)
    _told: Sequence[object] = ()
    _session: Session | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def session(self) -> Session:
        """The session with the broker, opened by the first change."""
        with self._lock:
            if self._session is None:
                patient = self.settings.model_copy(update={"service_wait_seconds": _CHANGE_SECONDS})
                self._session = Session(patient, role="pages")
            return self._session

    def tell(self, problems: Sequence[object]) -> None:
        """Make all answers again if there are other problems than before: some come with the clock, not by a change."""
        if problems != self._told:
            self._told = problems
            self.kept.expire()

    def close(self) -> None:
        """Close the session with the broker."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def numbers(self) -> dict[str, int]:
        """Return the number of each experiment by its name."""
        with self.reads.transaction() as transaction:
            return {name: number for name, number in transaction.sql.execute(select(Experiment.name, Experiment.pk))}

    def answer(
        self, request: Request, make: Callable[[], Any], *, seconds: float = 2.0, tag: Tag | None = None
    ) -> Response:
        """Return what `make` returns as JSON: 304 if the browser has it already, and made once for all who ask."""
        body = self.kept.get(key_of(request.scope), lambda: to_json(make()), seconds=seconds, tag=tag)
        return response_with(request.headers, body)

    def state_of_jobs(self, experiment_number: int) -> object:
        """Return what changes whenever a job of an experiment is made, begins, ends, or changes after its end."""
        with self.reads.transaction() as transaction:
            sql = transaction.sql
            rewritten = sql.scalar(select(Experiment.rewritten).where(Experiment.pk == experiment_number))
            last = sql.scalar(select(func.max(Event.pk)).where(Event.experiment_pk == experiment_number))
            return rewritten, last, tuple(job_counts(sql, [experiment_number])[experiment_number].items())


def key_of(scope: Scope) -> str:
    """Return the key under which the answer to a request is kept: its address, and who asks."""
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}#{scope['role']}"


def response_with(asked: Headers, body: Body) -> Response:
    """Return a kept answer: 304 if the browser has it already."""
    headers = {"etag": body.tag, "cache-control": "no-cache", "vary": "Accept-Encoding"}
    if asked.get("if-none-match") == body.tag:
        return Response(status_code=304, headers=headers)
    if body.packed is not None and "gzip" in asked.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(body.packed, headers=headers, media_type="application/json")
    return Response(body.plain, headers=headers, media_type="application/json")


def context_of(request: Request) -> Context:
    """Return the context of the server that got a request."""
    context: Context = request.app.state.context
    return context
