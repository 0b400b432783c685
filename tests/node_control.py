"""Asks things of a running private node that only its operator may."""

import subprocess

from schedy_broker_setup.node.files import erlang_environment, find_erlang_program
from schedy_broker_setup.node.node import recorded_node
from tests.conftest import OwnNode


def call_node(node: OwnNode, call: str) -> str:
    """Evaluate `MODULE FUNCTION [ARGUMENTS]` in the node, as rabbitmqctl does behind its commands, but at once."""
    record = recorded_node(node.private.settings.data_dir)
    assert record is not None
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


def forget_queue(node: OwnNode, url: str, queue: str) -> None:
    """Leave a quorum queue as the end of the node right after its declaration does: known, and nobody behind it."""
    server = f"{{{_process_of(url, queue)},{node.private.settings.name}}}"
    assert call_node(node, f"ra force_delete_server [quorum_queues,{server}]") == "ok"


def suspend_queue(node: OwnNode, url: str, queue: str) -> None:
    """Let the process of a quorum queue answer nobody."""
    call_node(node, f"sys suspend [{_process_of(url, queue)}]")


def _process_of(url: str, queue: str) -> str:
    """The process of a quorum queue, by its registered name, as an atom of Erlang."""
    return f"'{url.rpartition('/')[2]}_{queue}'"


def raise_disk_alarm(node: OwnNode) -> None:
    """As `rabbitmqctl set_disk_free_limit` with more than there is."""
    call_node(node, f"rabbit_disk_monitor set_disk_free_limit [{10**18}]")


def end_disk_alarm(node: OwnNode) -> None:
    call_node(node, "rabbit_disk_monitor set_disk_free_limit [1]")
