"""A service of a version whose answers this program cannot read: said as such, not as a missing service."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pika
import pytest

import schedy
from schedy.errors import ServiceUnavailableError
from schedy.settings import Settings
from schedy.wire import names
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.declaring import setup
from tests.support import wait_until


def test_an_answer_that_cannot_be_read_is_named(settings: Settings) -> None:
    setup(settings.broker_url)
    hasty = {**settings.model_dump(), "service_wait_seconds": 2.0}
    with (
        open_connection(settings.broker_url, purpose="test") as connection,
        schedy.SchedyDB(config_override=hasty) as db,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(db.get_experiments)
        channel = connection.channel()
        found = wait_until(lambda: got(channel), what="the request")
        assert found is not None
        method, properties = found
        answer = b'{"schema_version": 1, "kind": "experiments_answer", "experiments": [{}]}'
        to = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish("", properties.reply_to, answer, to)
        channel.basic_ack(method.delivery_tag)
        with pytest.raises(ServiceUnavailableError, match=r"^The results service answers, but .*Field required\)\."):
            asked.result(20)


def got(channel: Any) -> tuple[Any, Any] | None:
    """Return a request, None if there is none."""
    method, properties, _body = channel.basic_get(names.REQUESTS_QUEUE)
    return None if method is None else (method, properties)
