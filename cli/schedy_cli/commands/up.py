"""`schedy up`, `schedy down` and `schedy status`."""

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from schedy.errors import SchedyError
from schedy.settings import Settings, load_settings
from schedy.urls import without_password
from schedy.wire.requests import GetExperiments
from schedy_broker_setup.node.processes import wait_until_ended
from schedy_cli.context import session_for, settings_of
from schedy_cli.up.run_record import RunRecord
from schedy_cli.up.supervisor import AlreadyUpError, Supervisor, end_remains, exclusive

_DETACH_SECONDS = 200.0
_DOWN_SECONDS = 90.0


@click.command("up")
@click.option("--detach", is_flag=True, help="Return when everything answers, and leave it running.")
@click.option("--private", is_flag=True, help="Start a RabbitMQ node of our own even if one answers already.")
@click.option(
    "--listen",
    metavar="ADDR",
    help="Open the private node's AMQP port to a cluster, on this IP address of this machine.",
)
@click.pass_context
def up_command(ctx: click.Context, detach: bool, private: bool, listen: str | None) -> None:
    """Start everything on this machine: RabbitMQ (if none answers), the store, the results service.

    Ctrl-C, or `schedy down`, stops what this started; the data stays.
    """
    settings = settings_of(ctx)
    try:
        if detach:
            _detach(ctx, settings, private=private, listen=listen)
            return
        with exclusive(settings):
            fresh = settings_of(ctx)
            supervisor = Supervisor(fresh, private=private, listen=listen, say=lambda text: click.echo(text, err=True))
            supervisor.run(lambda record: _announce(record, fresh))
    except AlreadyUpError:
        record = RunRecord.load(settings.run_file)
        click.echo("Schedy is up already.", err=True)
        if record is not None:
            click.echo(_description(record, settings))


def _announce(record: RunRecord, settings: Settings) -> None:
    click.echo(_description(record, settings))
    click.echo("Stop it with Ctrl-C, or with `schedy down`.")


def _detach(ctx: click.Context, settings: Settings, *, private: bool, listen: str | None) -> None:
    """Start `schedy up` in the background, and wait until it is ready or has failed."""
    record = RunRecord.load(settings.run_file)
    if record is not None and record.is_up and record.ready:
        raise AlreadyUpError
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = settings.data_dir / "up.log"
    with log.open("wb") as output:
        log.chmod(0o600)
        child = subprocess.Popen(
            _command(ctx, private=private, listen=listen),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
        )
    try:
        ready = _wait_until_ready(child, settings, log)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    click.echo(_description(ready, settings))
    click.echo(f"Stop it with `{_shell_command(settings)} down`.")


def _command(ctx: click.Context, *, private: bool, listen: str | None) -> list[str]:
    options: dict[str, Any] = ctx.find_root().params
    command = [sys.executable, "-m", "schedy_cli.main"]
    for name in ("config", "data_dir"):
        if options.get(name):
            command += [f"--{name.replace('_', '-')}", options[name]]
    command.append("up")
    command += ["--private"] if private else []
    return command + (["--listen", listen] if listen else [])


def _wait_until_ready(child: "subprocess.Popen[bytes]", settings: Settings, log: Path) -> RunRecord:
    deadline = time.monotonic() + _DETACH_SECONDS
    while time.monotonic() < deadline:
        record = RunRecord.load(settings.run_file)
        if record is not None and record.ready and record.supervisor.pid == child.pid:
            return record
        if child.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines()
            if any("up already" in line for line in lines):
                raise AlreadyUpError
            raise SchedyError((lines[-1] if lines else "schedy up ended at once.").removeprefix("Error: "))
        time.sleep(0.1)
    child.terminate()
    raise SchedyError(f"Schedy was not up within {_DETACH_SECONDS:.0f} s. See {log}.")


def _description(record: RunRecord, settings: Settings) -> str:
    """Return what a person wants to know: where things are, how to log in, what to type next."""
    command = _shell_command(settings)
    lines = ["Schedy is up." if record.ready else "Schedy is starting."]
    lines.append(f"  Broker         {record.broker_url}")
    if record.management_url is not None:
        parts = urlsplit(record.management_url)
        place = f"http://{parts.hostname}:{parts.port}/"
        lines.append(f"  Management UI  {place}  user {parts.username}, password {parts.password}")
    lines.append(f"  Store          {without_password(record.store_url)}")
    lines.append(f"  Logs           {settings.data_dir}/service.log")
    if record.worker_urls:
        lines += ["On a worker machine:", f"  export SCHEDY_BROKER_URL={shlex.quote(record.worker_urls[0])}"]
        lines += ["Where jobs are pushed from:", f"  export SCHEDY_BROKER_URL={shlex.quote(record.worker_urls[1])}"]
    lines += [
        "Next:",
        f"  {command} add MinimizeManual manual",
        f"  {command} push MinimizeManual -p x 1 y 2",
        f"  {command} list -l MinimizeManual",
    ]
    return "\n".join(lines)


def _shell_command(settings: Settings) -> str:
    """Return how to call this command so that it finds the same data folder."""
    beside = Path(sys.executable).parent / "schedy"
    command = shlex.quote(str(beside)) if beside.exists() else "schedy"
    if load_settings().data_dir == settings.data_dir:
        return command
    return f"{command} --data-dir {shlex.quote(str(settings.data_dir))}"


@click.command("down")
@click.pass_context
def down_command(ctx: click.Context) -> None:
    """Stop what `schedy up` started on this machine. Data stays; running jobs go on and report later."""
    settings = settings_of(ctx)
    record = RunRecord.load(settings.run_file)
    if record is not None and record.is_up:
        record.supervisor.send(signal.SIGTERM)
        if wait_until_ended([record.supervisor], timeout_seconds=_DOWN_SECONDS):
            record.supervisor.send(signal.SIGKILL)
            wait_until_ended([record.supervisor], timeout_seconds=5.0)
        end_remains(settings)
        click.echo("Schedy is down; the data stays.")
        return
    try:
        with exclusive(settings):
            pass
    except AlreadyUpError:
        raise click.ClickException("Another `schedy up` is just starting. Try again in a moment.") from None
    click.echo("Schedy was not up." if record is None else "Schedy is down; it had been killed before.")


@click.command("status")
@click.pass_context
def status_command(ctx: click.Context) -> int:
    """Show what runs on this machine, and whether the results service answers. Exit code 1 if it does not."""
    settings = settings_of(ctx)
    record = RunRecord.load(settings.run_file)
    if record is not None and record.is_up:
        click.echo(_description(record, settings))
    else:
        click.echo(f"`schedy up` does not run here. The configured broker is {without_password(settings.broker_url)}.")
    with session_for(settings) as session:
        answer = session.read(GetExperiments(limit=1000), patience_seconds=3.0)
    count = len(answer.experiments)
    click.echo(f"The results service answers. Experiments: {count}.")
    return 0
