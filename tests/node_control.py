"""Asks things of a running private node that only its operator may."""

import subprocess

from schedy_broker_setup.node.files import erlang_environment, find_erlang_program
from tests.conftest import OwnNode


def call_node(node: OwnNode, call: str) -> str:
    """Evaluate `MODULE FUNCTION [ARGUMENTS]` in the node, as rabbitmqctl does behind its commands, but at once."""
    record = node.private.record()
    program = find_erlang_program("erl_call")
    command = [str(program), "-timeout", "10", "-n", record.name, "-a", call]
    done = subprocess.run(
        command,
        env=erlang_environment(node.private.settings.data_dir, epmd_port=record.epmd_port),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def raise_disk_alarm(node: OwnNode) -> None:
    """As `rabbitmqctl set_disk_free_limit` with more than there is."""
    call_node(node, f"rabbit_disk_monitor set_disk_free_limit [{10**18}]")


def end_disk_alarm(node: OwnNode) -> None:
    call_node(node, "rabbit_disk_monitor set_disk_free_limit [1]")
