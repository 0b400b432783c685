"""What docs/architecture.md and docs/protocol.md point at is there: tests, files, names on the broker, messages."""

import re
from pathlib import Path

import pytest

import schedy.wire.codec  # noqa: F401 - brings all messages
from schedy.wire import topology
from schedy.wire.base import MESSAGES, Sendable

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()


def test_every_test_that_is_named_exists_in_the_file_that_is_named() -> None:
    promises = re.findall(r"((?:`test_\w+`(?:, )?)+) \((tests/[\w/]+\.py)\)", TEXT)
    named = {name: file for names, file in promises for name in re.findall(r"test_\w+", names)}
    assert sorted(named) == sorted(set(re.findall(r"`(test_\w+)`", TEXT)))
    for name, file in named.items():
        assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", TEXT + PROTOCOL))))
def test_every_file_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_object_on_the_broker_is_in_the_table() -> None:
    table = PROTOCOL.split("\n## On the broker\n")[1].split("\n## ")[0]
    for found in (*topology.EXCHANGES, *topology.QUEUES):
        assert f"| `{found.name}` |" in table


@pytest.mark.parametrize("model", [model for model in MESSAGES.values() if issubclass(model, Sendable)])
def test_every_message_is_named(model: type) -> None:
    assert f"`{model.__name__}`" in PROTOCOL
