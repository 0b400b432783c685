"""Queues that RabbitMQ still lists and has lost.

A quorum queue is lost if its node is killed within about a second of the declaration (seen in 3.10): it can be
inspected and seems empty, but a request for a message is never answered, or ends the connection with an internal error.

The results service looks for such jobs queues, too (`schedy_store.service.broker.queue_probe`), beside its other
work: it may not block, and this may.
"""

import threading

from schedy.errors import BrokerError, BrokerFaultError
from schedy.tls import NO_TLS_FILES, TlsFiles
from schedy_broker_setup.connecting import open_connection

_PATIENCE_SECONDS = 5.0


def is_lost(urls: str, queue: str, *, tls: TlsFiles = NO_TLS_FILES) -> bool:
    """Ask a queue, which must look empty, for a message. Blocks for five seconds if it hangs.

    False, too, if there is no way to find out: without the permission to read the queue, or without a connection.
    """
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(_answers(urls, queue, tls)), daemon=True)
    asking.start()
    asking.join(_PATIENCE_SECONDS)
    return not any(answers)


def _answers(urls: str, queue: str, tls: TlsFiles) -> bool:
    """A message that has arrived this very moment is requeued when the connection closes."""
    try:
        with open_connection(urls, purpose="doctor", tls=tls) as connection:
            connection.channel().basic_get(queue)
    except BrokerFaultError:
        return False
    except BrokerError:
        pass  # no permission to read it, or no connection; or it lives, and has a single active consumer
    return True
