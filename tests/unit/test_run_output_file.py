"""The files of trials' output: the oldest go when there is too much."""

import os
from pathlib import Path

from schedy_cli.running.output_file import remove_old_output


def test_the_oldest_output_is_removed_beyond_a_size(tmp_path: Path) -> None:
    paths = [tmp_path / "Digits" / f"J{number}-1.log" for number in range(4)]
    paths[0].parent.mkdir()
    for age, path in enumerate(paths):
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 + age, 1000 + age))
    remove_old_output(tmp_path, most_bytes=250)
    assert [path.exists() for path in paths] == [False, False, True, True]
    remove_old_output(tmp_path / "nothing")
