"""Policies on Schedy's queues, and what is said about them."""

from pathlib import Path
from typing import Any

import pytest

from schedy.settings import RUN_FILE, Settings
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.doctor.policies import management_url_beside, policy_checks
from schedy_broker_setup.management import QueuePolicy
from schedy_broker_setup.node.processes import Process
from schedy_cli.policy_check import management_url_of_private_node
from schedy_cli.up.run_record import RunRecord

QUEUES = ("schedy.reports", "schedy.requests", "schedy.dead", "schedy.jobs.A", "schedy.jobs.B", "others")


def checks(*queues: str, **definition: Any) -> list[Check]:
    """The checks with a policy on these queues."""
    keys = {name.replace("_", "-"): value for name, value in definition.items()}
    return list(
        policy_checks(
            QueuePolicy(name=name, policy="p" if name in queues else "", definition=keys if name in queues else {})
            for name in QUEUES
        )
    )


def test_no_policy_is_fine() -> None:
    (check,) = checks()
    assert (check.name, check.status) == ("policies", Status.OK)
    (check,) = checks("others", expires=1000)
    assert check.status is Status.OK


@pytest.mark.parametrize(
    ("definition", "status", "said"),
    [
        ({"expires": 20_000}, Status.FAILED, ["schedy.reports is deleted, with the reports", "runs for 20 s."]),
        ({"message_ttl": 5000}, Status.FAILED, ["that wait for 5 s become dead letters", "no job is left"]),
        ({"max_length": 1000}, Status.WARNING, ["wait at their senders while schedy.reports has 1,000 messages."]),
        ({"max_length_bytes": 10**6}, Status.WARNING, ["1,000,000 bytes"]),
        ({"delivery_limit": 20}, Status.FAILED, ["become dead letters once", "20 times"]),
        ({"consumer_timeout": 60_000}, Status.WARNING, ["more than 60 s"]),
        ({"delivery_limit": 10**9}, Status.OK, []),
        ({"dead-letter-exchange": "x", "overflow": "drop-head", "ha-mode": "all"}, Status.OK, []),
    ],
)
def test_each_policy_is_told_by_what_it_does(definition: dict[str, Any], status: Status, said: list[str]) -> None:
    (check,) = checks(*QUEUES, **definition)
    assert (check.name, check.status) == ("policy p", status)
    assert all(words in check.detail for words in said), check.detail
    assert bool(check.remedy) == (status is not Status.OK)
    assert check.detail.count("Tickets") <= 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://u:p%40@head1:5673/lab", "http://u:p%40@head1:15672"),
        ("amqp://u:p@head1/lab", "http://u:p@head1:15672"),
        ("amqp://head1", "http://head1:15672"),
        ("amqp://u:p@[::1]:5672/", "http://u:p@[::1]:15672"),
        ("amqp://u:p@a:1/x,amqp://u:p@b:2/x", "http://u:p@a:15672"),
        ("amqps://u:p@head1:5671/lab", None),
    ],
)
def test_the_management_api_is_looked_for_beside_the_broker(url: str, expected: str | None) -> None:
    assert management_url_beside(url) == expected


@pytest.mark.parametrize(
    ("broker_url", "is_found"),
    [
        ("amqp://schedy:p@127.0.0.1:5679/%2F", True),
        ("amqp://schedy-worker:w@localhost:5679/lab", True),
        ("amqp://schedy-worker:w@192.168.1.7:5679/", True),
        ("amqp://schedy:p@127.0.0.1:5672/%2F", False),
        ("amqp://schedy:p@head1:5679/%2F", False),
    ],
)
def test_the_management_api_of_the_private_node_is_known(tmp_path: Path, broker_url: str, *, is_found: bool) -> None:
    worker_url = "amqp://schedy-worker:w@192.168.1.7:5679/%2F"
    url = "http://schedy:p@127.0.0.1:51234"
    RunRecord(Process(1, 1), "amqp://schedy:p@127.0.0.1:5679/%2F", "sqlite://", url, [worker_url]).save(
        tmp_path / RUN_FILE
    )
    settings = Settings(data_dir=tmp_path, broker_url=broker_url)
    assert management_url_of_private_node(settings) == (url if is_found else None)
