"""Queues that RabbitMQ knows and has lost.

It leaves a quorum queue so whose node is killed within about a second of its declaration (seen in 3.10): it can be
looked at and seems empty, but a message asked of it never comes, or ends the connection with an internal error.
"""

import threading

from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from schedy.settings import NO_TLS_FILES, TlsFiles
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.errors import UnreachableError

_PATIENCE_SECONDS = 5.0
_INTERNAL_ERROR = 541


def is_lost(urls: str, queue: str, *, tls: TlsFiles = NO_TLS_FILES) -> bool:
    """Ask a queue, which must look empty, for a message. Blocks for five seconds if it hangs.

    False, too, where that cannot be found out: without the right to read the queue, or without a connection.
    """
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(_answers(urls, queue, tls)), daemon=True)
    asking.start()
    asking.join(_PATIENCE_SECONDS)
    return not any(answers)


def _answers(urls: str, queue: str, tls: TlsFiles) -> bool:
    """A message that has come this very moment goes back with the connection."""
    try:
        with open_connection(urls, purpose="doctor", tls=tls) as connection:
            connection.channel().basic_get(queue)
    except ChannelClosedByBroker:
        pass  # no right to read it; or it lives, and gives messages to one consumer only
    except UnreachableError as error:
        cause = error.__cause__
        return not (isinstance(cause, ConnectionClosedByBroker) and cause.reply_code == _INTERNAL_ERROR)
    return True
