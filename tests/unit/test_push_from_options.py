"""`schedy push --from` takes nothing else: an option without effect would be dropped silently."""

import pytest

from schedy_cli.main import run


@pytest.mark.parametrize("option", [["-p", "x", "1"], ["-r", "x", "1"], ["-s", "DONE"], ["-q", "3"], ["--json"]])
def test_options_that_the_file_replaces_are_refused(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", "Name", "--from", "jobs.csv", *option]) == 2
    assert "--from takes everything from the file" in capsys.readouterr().err
