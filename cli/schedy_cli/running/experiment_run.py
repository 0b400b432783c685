"""What `schedy run` does from the first look at its experiment to the summary."""

import json
import logging
from typing import Any

import click

import schedy
from schedy.errors import NoJobError, NotFoundError, ResourceExistsError, SchedyError, UnhealthyWorkerError
from schedy.random.distribution import distributions_from_json
from schedy.search.definition import Definition, read_definition
from schedy.searches import experiment_from_record
from schedy.settings import Settings
from schedy.values_text import format_name
from schedy.wire.answers import OverviewAnswer
from schedy.wire.records import ExperimentRecord, search_failure
from schedy.wire.requests import GetExperiments, GetJobs, GetOverview
from schedy_cli.interruption import OneChange, accounted, schedy_words
from schedy_cli.parsing.new_experiment import NewExperiment
from schedy_cli.printing.messages import print_message
from schedy_cli.running.options import RunOptions, check_tokens
from schedy_cli.running.output_file import remove_old_output
from schedy_cli.running.programs import Programs
from schedy_cli.running.progress import (
    Progress,
    echo_line,
    failed_text,
    lacking_text,
    refused_text,
    still_running_text,
    stopped_text,
)
from schedy_cli.running.trials import Stopping, TrialEnd, Trials, TrialSettings
from schedy_cli.running.worker import Event, NoTrialYet, SlotEnd, StillRunning, StopSignal, Worker

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 2.0
_FEWEST_LACKING = 2
_SIGNAL_EXIT = 128
"""A program that a signal ends has this and the number of the signal as its exit code."""


class ExperimentRun:
    """One `schedy run`. Lives in the main thread."""

    def __init__(self, settings: Settings, name: str, new: NewExperiment | None, options: RunOptions) -> None:
        """`new` is the experiment that is added if it is missing, and must be the same if it is not."""
        self._settings = settings
        self._name = name
        self._new = new
        self._options = options
        self._stopping = Stopping(options.grace_seconds)
        self._refused: TrialEnd | None = None
        self._fault: BaseException | None = None
        self._signal: int | None = None
        self._nothing_left: NoJobError | None = None
        self._lacking: TrialEnd | None = None

    def work(self) -> int:
        """Run trials until none is left or the user stops it; return the exit code."""
        logging.getLogger("schedy.worker.session").setLevel(logging.CRITICAL)  # the end says why no more jobs are taken
        remove_old_output(self._settings.data_dir / "output")
        programs = Programs()
        try:
            with schedy.SchedyDB(config_override=self._settings.model_dump()) as db:
                record = self._found(db)
                definition = read_definition(record.settings)
                self._check_tokens(db, record, definition)
                return self._run(db, record, definition, programs)
        finally:
            programs.close()

    def _found(self, db: schedy.SchedyDB) -> ExperimentRecord:
        """Return the experiment, added if it was missing and is defined."""
        look = GetExperiments(name=self._name)
        try:
            found = db.session.read(look, patience_seconds=_PATIENCE_SECONDS).experiments[0]
        except NotFoundError as error:
            if self._new is None:
                raise NotFoundError(f"{error} An algorithm after the name adds it: see `schedy run --help`.") from None
            creation = self._new.creation(self._name, limit_bytes=self._settings.max_message_bytes)
            change = OneChange(f"{self._name} was added", check=schedy_words("show", self._name))
            try:
                with accounted(change.account):
                    return change.send(db.session, creation, patience_seconds=_PATIENCE_SECONDS).experiment
            except ResourceExistsError:  # another worker was faster
                found = db.session.read(look, patience_seconds=_PATIENCE_SECONDS).experiments[0]
        if self._new is not None:
            _check_same(self._name, found, self._new)
        return found

    def _check_tokens(self, db: schedy.SchedyDB, record: ExperimentRecord, definition: Definition) -> None:
        """Raise click.UsageError for a token that stands for nothing, before a job is claimed."""
        known = list(definition.space().parameters)
        if not known:
            queued = GetJobs(experiment_uid=record.uid, statuses=["QUEUED"], limit=1)
            known = [name for job in db.session.read(queued).jobs for name in job.hyperparameters]
            if not known:
                return
        check_tokens(self._options.command, record.name, known)

    def _run(self, db: schedy.SchedyDB, record: ExperimentRecord, definition: Definition, programs: Programs) -> int:
        settings = TrialSettings(
            command=self._options.command,
            objectives=[objective.result for objective in definition.objectives],
            patterns=self._options.patterns,
            data_dir=self._settings.data_dir,
            complain=print_message,
            echo=echo_line if self._options.verbose else None,
        )
        trials = Trials(programs, settings, self._stopping)
        progress = Progress(record.name, definition, lambda: self._look(db, record), lambda: trials.ended)
        worker = Worker(
            lambda: experiment_from_record(db, record),
            trials,
            programs,
            self._stopping,
            jobs=self._options.jobs,
            until_empty=self._options.until_empty,
            stop_signals=self._options.stop_signals,
        )
        progress.look()
        worker.run(lambda event: self._handle(event, progress), db.session.stop_taking)
        if self._signal is not None:
            given_back = progress.outcomes["given back"]
            print_message(stopped_text(self._signal, given_back=given_back, unfinished=worker.unfinished))
            return _SIGNAL_EXIT + self._signal
        return self._summary(progress, None if self._stopping.now.is_set() else self._look(db, record))

    def _handle(self, event: Event, progress: Progress) -> None:
        match event:
            case TrialEnd():
                self._handle_trial(event, progress)
            case SlotEnd(NoJobError() as reason):
                self._nothing_left = reason
            case SlotEnd(reason) if reason is not None:
                self._fault = self._fault or reason
                self._stopping.after_trials = True
            case StopSignal():
                self._signal = self._signal or event.number
            case NoTrialYet():
                print_message(f"Waiting for a job of {self._name}; Ctrl-C ends this.")
            case StillRunning():
                print_message(
                    still_running_text(event, self._options.grace_seconds if self._stopping.now.is_set() else None)
                )

    def _handle_trial(self, end: TrialEnd, progress: Progress) -> None:
        progress.trial(end)
        if end.outcome == "lost":
            print_message(f"Job {end.job_id} does not count here: {end.detail}")
        if end.outcome == "refused":
            self._refused = self._refused or end
        if self._never_succeeds(end, progress):
            self._lacking = end
            self._stopping.after_trials = True

    def _never_succeeds(self, end: TrialEnd, progress: Progress) -> bool:
        """Tell whether as many trials as run at once, two at least, ended without an objective, and none with all."""
        if not end.lacks or progress.outcomes["DONE"] or progress.outcomes["PRUNED"]:
            return False
        return progress.lacking >= max(_FEWEST_LACKING, self._options.jobs)

    def _look(self, db: schedy.SchedyDB, record: ExperimentRecord) -> OverviewAnswer | None:
        """Ask how the experiment is getting on; None if no answer comes soon, or it is gone."""
        try:
            return db.session.read(GetOverview(experiment_uid=record.uid), patience_seconds=_LOOK_SECONDS)
        except SchedyError:
            return None

    def _summary(self, progress: Progress, look: OverviewAnswer | None) -> int:
        """Print how it ended; return the exit code. Raises the error that ended it."""
        if self._refused is not None:
            given_back = progress.outcomes["given back"] + progress.outcomes["refused"]
            print_message(refused_text(self._refused, given_back))
            return 1
        if isinstance(self._fault, UnhealthyWorkerError):
            traceback = progress.last_crash.traceback if progress.last_crash else None
            print_message(f"{traceback}\n\nError: {self._fault}" if traceback else f"Error: {self._fault}")
            return 1
        if self._fault is not None:
            raise self._fault
        if self._lacking is not None:
            print_message(f"Error: {lacking_text(self._lacking, progress.lacking, self._name)}")
            return 1
        failure = search_failure(look.experiment.search_end if look else None)
        if failure:
            print_message(f"Error: {failure}")
            return 1
        progress.summary(look, self._nothing_left)
        if progress.outcomes["CRASHED"] and not progress.outcomes["DONE"] and not progress.outcomes["PRUNED"]:
            print_message(f"Error: {failed_text(progress.outcomes['CRASHED'])}")
            return 1
        return 0


def _check_same(name: str, found: ExperimentRecord, new: NewExperiment) -> None:
    """Raise click.UsageError if an experiment is there that is not the one of the command line.

    What the command line leaves to the service, as the seed, may be anything.
    """
    stored = NewExperiment(found.scheduler, read_definition(found.settings), found.limits).settings()
    given = new.settings()
    free = {"seed", "max_attempts"} - given.keys()
    for setting in dict.fromkeys([*given, *stored]):
        if setting not in free and _comparable(stored, setting) != _comparable(given, setting):
            raise click.UsageError(
                f"There is another experiment {name!r}, which differs in {setting}:"
                f" {_shown(setting, stored.get(setting))}, here {_shown(setting, given.get(setting))}. Leave out the"
                " algorithm and its options to work on it as it is, change its budget and limits with `schedy set`, or"
                f" choose another name. `{schedy_words('rm', name)}` removes it with its jobs."
            )


def _comparable(settings: dict[str, Any], setting: str) -> Any:
    """Return a setting without what the service fills in."""
    value = settings.get(setting)
    return [each["experiment"] for each in value] if setting == "warm_start" and value else value


def _shown(setting: str, value: Any) -> str:
    if value is None:
        return "not set"
    if setting == "hyperparameters":
        return ", ".join(f"{format_name(name)} {each}" for name, each in distributions_from_json(value).items())
    return json.dumps(value)
