"""The files of others in the web pages are those whose hashes were noted."""

import hashlib
from pathlib import Path

import schedy_web

VENDOR = Path(schedy_web.__file__).parent / "static" / "vendor"


def test_vendored_files_are_as_they_were_noted() -> None:
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    noted = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert found == noted
