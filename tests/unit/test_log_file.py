"""The log file of a service: bounded, nothing lost, readable by its owner alone."""

import logging
import os
from pathlib import Path

from schedy_cli.log_file import LogFile


def test_the_file_is_begun_anew_and_what_else_is_written_follows(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    stderr = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    elsewhere = os.open(tmp_path / "elsewhere", os.O_WRONLY | os.O_CREAT)
    log = LogFile(path, descriptors=(stderr, elsewhere), largest_bytes=1000)
    try:
        for number in range(40):
            log.handle(logging.makeLogRecord({"msg": f"line {number} {'x' * 80}"}))
            os.write(stderr, f"traceback {number}\n".encode())
        os.write(elsewhere, b"mine\n")
    finally:
        log.close()
        os.close(stderr)
        os.close(elsewhere)
    files = [path, *(tmp_path / f"service.log.{number}" for number in (1, 2, 3))]
    assert sorted(tmp_path.iterdir()) == sorted([*files, tmp_path / "elsewhere"])
    assert all(file.stat().st_size < 1200 for file in files)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    words = [tuple(line.split()[:2]) for file in reversed(files) for line in file.read_text().splitlines()]
    numbers = range(int(words[0][1]), 40)
    assert words == [(kind, str(number)) for number in numbers for kind in ("line", "traceback")]
    assert (tmp_path / "elsewhere").read_bytes() == b"mine\n"
