"""Errors as they arrive from another process."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import schedy
from schedy import errors
from schedy.amqp.errors import MessageSizeError
from schedy.amqp.parameters import Address
from schedy.search.errors import DefinitionError
from schedy_broker_setup.node.settings import NodeError

SPECIAL: list[errors.SchedyError] = [
    errors.NoJobError("K", "Its search has failed."),
    errors.StopTimeError("K", 30.0),
    errors.MessageTooLargeError("It is too large.", 1000),
    MessageSizeError(Address(host="h", port=5672, vhost="/", user="u", tls=False), size_bytes=2000, limit_bytes=1000),
    DefinitionError("uniform", ": low is missing."),
    NodeError("It does not start."),
]
OTHERS = [
    kind("It does not answer.", remedy="Start it.") if issubclass(kind, errors.BrokerError) else kind("That is wrong.")
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SchedyError) and kind not in map(type, SPECIAL)
]


@pytest.mark.parametrize("error", [*SPECIAL, *OTHERS], ids=lambda error: type(error).__name__)
def test_an_error_survives(error: errors.SchedyError) -> None:
    error.add_note("seen")
    for arrived in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(arrived) is type(error)
        assert str(arrived) == str(error)
        assert arrived.args == error.args
        assert vars(arrived) == vars(error)


def _raise_stop_time() -> None:
    raise schedy.StopTimeError("K", 30.0)


def test_an_error_of_a_process_pool_arrives() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        with pytest.raises(schedy.StopTimeError, match="No job was taken for experiment K") as raised:
            pool.submit(_raise_stop_time).result(30)
    assert raised.value.experiment_name == "K"
