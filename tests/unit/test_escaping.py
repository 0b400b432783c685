"""Names, routing keys and errors of others: none acts on the terminal, or forges a line of the service's log."""

import io
import logging
from pathlib import Path

import pytest

from schedy.errors import SchedyError
from schedy.settings import load_settings
from schedy_broker_setup.node.processes import Process
from schedy_cli import main
from schedy_cli.commands.serve import start_logging
from schedy_cli.printing.messages import EscapingFormatter, print_message
from schedy_cli.up.description import description
from schedy_cli.up.run_record import RunRecord

FORGED = "x\n2026-11-23 07:19:22,599 INFO This instance is active, epoch 99\x1b[2J\r\x9b"


def logged(record_with: str, *, error: Exception | None = None) -> list[str]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EscapingFormatter("%(levelname)s %(message)s"))
    handler.handle(logging.makeLogRecord({"msg": "Refused: %s", "args": (record_with,), "levelname": "WARNING"}))
    if error is not None:
        handler.handle(
            logging.makeLogRecord({"msg": "Failed", "levelname": "INFO", "exc_info": (type(error), error, None)})
        )
    return stream.getvalue().splitlines()


def test_a_record_of_the_log_is_one_line_without_control_characters() -> None:
    (line,) = logged(FORGED)
    assert line.isprintable()
    assert line.startswith("WARNING Refused: x\\n2026-11-23")
    assert "\\x1b[2J\\r\\x9b" in line


def test_the_lines_of_a_traceback_are_indented_and_escaped() -> None:
    _record, first, *more = logged("x", error=ValueError(FORGED))
    assert first == "INFO Failed"
    assert more
    assert all(line.startswith("    ") and line.isprintable() for line in more)


def test_the_service_logs_by_this_format(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    start_logging("INFO")
    (handler,) = root.handlers
    assert isinstance(handler.formatter, EscapingFormatter)


def test_a_message_on_the_terminal_keeps_its_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    print_message(f"one\ntwo {FORGED}")
    assert all(line.isprintable() for line in capsys.readouterr().err.split("\n"))


@pytest.mark.parametrize("arguments", [["push", "E", "-p", "x", "\x9b2J("], ["\x9b2Jx"], ["add", "E", "ma\x9b2J"]])
def test_errors_of_a_command_are_escaped(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(arguments) == 2
    text = capsys.readouterr().err
    assert "\\x9b2J" in text
    assert "\x9b" not in text


def test_an_error_of_the_service_is_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def _fail(**_arguments: object) -> None:
        raise SchedyError(f"There is no {FORGED}.")

    monkeypatch.setattr(main.schedy, "main", _fail)
    assert main.run([]) == 1
    assert "\x9b" not in capsys.readouterr().err


def test_a_warning_of_the_library_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert logging.lastResort is not None
    logging.lastResort.handle(logging.makeLogRecord({"msg": FORGED, "levelno": logging.WARNING}))
    text = capsys.readouterr().err
    assert "\x9b" not in text
    assert len(text.splitlines()) == 1


def described(*, management_url: str | None = None) -> str:
    record = RunRecord(
        supervisor=Process(1, 1),
        broker_url="amqp://ada:s3cret@mq.lab:5672/%2F",
        store_url="sqlite:///x",
        management_url=management_url,
    )
    return description(record, load_settings(environment={}), origin=None)


def test_a_configured_broker_is_described_without_its_password() -> None:
    assert "amqp://ada@mq.lab:5672/%2F" in described()
    assert "s3cret" not in described()


def test_the_broker_that_schedy_made_is_described_as_it_is_used() -> None:
    assert "amqp://ada:s3cret@mq.lab" in described(management_url="http://schedy:x@127.0.0.1:15672")


def test_no_place_prints_to_stderr_by_itself() -> None:
    sources = Path(main.__file__).parent.rglob("*.py")
    found = {path.name for path in sources if "err=True)" in path.read_text().replace("abort=True, err=True)", "")}
    assert found == {"messages.py"}
