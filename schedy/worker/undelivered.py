"""Reports that a process could not deliver: kept in files of the data folder, and delivered by a later process.

A process that ends while the broker is away keeps the reports on each job whose results it has reported. A later
process of the same user delivers them, before it claims a job. They are the same reports under the same tokens: the
service decides whether they still count, and one that arrives twice changes nothing, so nobody needs to lock a file.
"""

import contextlib
import json
import logging
import os
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from schedy.amqp.channel import Outgoing
from schedy.errors import MessageTooLargeError
from schedy.settings import Settings
from schedy.urls import split_urls, without_password
from schedy.wire.answers import ReportAnswer
from schedy.wire.base import Answer
from schedy.wire.codec import decode
from schedy.wire.reports import Finish, HeldReport, Progress
from schedy.wire.versions import UndecodableError
from schedy.worker.call import Call
from schedy.worker.calls import Calls

_log = logging.getLogger(__name__)

_FOLDER = "undelivered"
_JOBS_NAMED = 5


@dataclass(frozen=True)
class KeptFile:
    """A file with reports, in the order in which they are to be sent."""

    path: Path
    brokers: tuple[str, ...]
    """The URLs of the broker that they are for, without passwords."""
    reports: list[HeldReport]

    def is_for(self, settings: Settings) -> bool:
        """Tell whether the configured broker, as the configured user, is the one that they are for."""
        return not set(self.brokers).isdisjoint(_brokers(settings))

    @property
    def jobs(self) -> list[str]:
        """The ids of their jobs."""
        return list(dict.fromkeys(report.job_id for report in self.reports))


def kept_files(settings: Settings) -> list[KeptFile]:
    """Return the files with reports that wait, oldest first; one that cannot be read is left out, with a warning."""
    try:
        paths = sorted((settings.data_dir / _FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime)
    except OSError:
        return []  # another process has just delivered one: it looks after the others, too
    return [file for path in paths if (file := _read(path)) is not None]


def _read(path: Path) -> KeptFile | None:
    try:
        content = json.loads(path.read_bytes())
        reports = [decode(report.encode()) for report in content["reports"]]
        brokers = tuple(content["brokers"])
        if not all(isinstance(url, str) for url in brokers):
            raise TypeError("a broker's URL is no text")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UndecodableError) as error:
        _log.warning("%s has reports that were not delivered, and cannot be read (%s).", path, error)
        return None
    held = [report for report in reports if isinstance(report, HeldReport)]
    return KeptFile(path, brokers, [report.alone() if isinstance(report, Finish) else report for report in held])


def keep(settings: Settings, unconfirmed: Iterable[Outgoing]) -> None:
    """Keep the reports among the messages that the broker has not confirmed; durable when it returns.

    Those on jobs without results are left out: a job that is only given back is queued again by its lease.
    """
    reports = [(outgoing, report) for outgoing in unconfirmed if (report := _held_report(outgoing)) is not None]
    worth = {report.token for _outgoing, report in reports if isinstance(report, Finish | Progress)}
    kept = [(outgoing, report) for outgoing, report in reports if report.token in worth]
    if not kept:
        return
    jobs = list(dict.fromkeys(report.job_id for _outgoing, report in kept))
    try:
        path = _write(settings, [outgoing.body.decode() for outgoing, _report in kept])
    except OSError as error:
        _log.error(
            "The results of %s were not delivered, and could not be kept in %s (%s). Another run makes them.",
            named(jobs),
            settings.data_dir / _FOLDER,
            error.strerror,
        )
        return
    _log.warning(
        "RabbitMQ could not be reached: the results of %s are kept in %s. The next worker here, or `schedy up`,"
        " delivers them.",
        named(jobs),
        path,
    )


def named(jobs: Sequence[str]) -> str:
    """Return ``job a``, or ``3 jobs (a, b, c)`` with the first of many."""
    if len(jobs) == 1:
        return f"job {jobs[0]}"
    shown = ", ".join(jobs[:_JOBS_NAMED]) + (", ..." if len(jobs) > _JOBS_NAMED else "")
    return f"{len(jobs)} jobs ({shown})"


def _held_report(outgoing: Outgoing) -> HeldReport | None:
    message = decode(outgoing.body)
    return message if isinstance(message, HeldReport) else None


def _write(settings: Settings, reports: Sequence[str]) -> Path:
    """Write a file, complete or not at all, that only this user may read."""
    folder = settings.data_dir / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.json"
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"brokers": _brokers(settings), "kept_at": now.isoformat(), "reports": reports}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    entries = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entries)
    finally:
        os.close(entries)
    return path


def _brokers(settings: Settings) -> list[str]:
    return [without_password(url) for url in split_urls(settings.broker_url)]


def deliver(calls: Calls, settings: Settings) -> list[Call]:
    """Send the reports that wait for this broker; does not wait. A file is deleted once the broker has all of it."""
    sent: list[Call] = []
    for file in kept_files(settings):
        if file.is_for(settings):
            sent.extend(_Delivery(calls, file).begin())
    return sent


class _Delivery:
    """The delivery of one file. `begin` runs in the caller's thread, the rest in the I/O thread."""

    def __init__(self, calls: Calls, file: KeptFile) -> None:
        self._calls = calls
        self._file = file
        self._waiting = len(file.reports)

    def begin(self) -> list[Call]:
        sent: list[Call] = []
        for report in self._file.reports:
            call = self._calls.call(report)
            call.stored.add_done_callback(self._stored)
            if isinstance(report, Finish):
                call.answer.add_done_callback(partial(_say, report))
            sent.append(call)
        return sent

    def _stored(self, stored: "Future[None]") -> None:
        error = stored.exception()
        if isinstance(error, MessageTooLargeError):
            self._set_aside(error)
        elif error is None:
            self._waiting -= 1
            if not self._waiting:
                self._file.path.unlink(missing_ok=True)

    def _set_aside(self, error: MessageTooLargeError) -> None:
        """Keep the file under a name by which nobody delivers it: the broker will not take it next time either."""
        aside = self._file.path.with_suffix(".too-large")
        with contextlib.suppress(OSError):  # another process has done so
            self._file.path.rename(aside)
            _log.error(
                "The results of %s, kept by an earlier worker, were not delivered: %s They stay in %s; once the broker"
                " takes messages of this size, rename it to %s.",
                named(self._file.jobs),
                error,
                aside,
                self._file.path.name,
            )


def _say(finish: Finish, answered: "Future[Answer]") -> None:
    """Say what became of the end of a job. Runs in the I/O thread."""
    if answered.exception() is not None:
        return  # the connection was closed
    answer = answered.result()
    if isinstance(answer, ReportAnswer) and answer.accepted:
        _log.warning("The results of job %s, kept by an earlier worker, are stored.", finish.job_id)
    else:
        reason = getattr(answer, "reason", "")
        _log.warning("The results of job %s, kept by an earlier worker, come too late: %s", finish.job_id, reason)
