"""Reading again and again, while services and stores come and go."""

import select
import sys

from schedy.errors import BrokerError, ServiceUnavailableError, StoreError
from schedy.wire.base import A
from schedy.wire.requests import Request
from schedy_cli.printing.messages import print_message
from schedy_cli.reading import Reader

_POLL_SECONDS = 0.7
_PATIENCE_SECONDS = 2.0


def ask_patiently(reader: Reader, request: Request[A]) -> A:
    """Ask until there is an answer: wait for a service or store that is gone, and say that once."""
    is_silent = False
    while True:
        try:
            answer = reader.ask(request, patience_seconds=_PATIENCE_SECONDS)
        except (ServiceUnavailableError, BrokerError, StoreError) as error:
            if not is_silent:
                print_message(f"{error} Waiting for it.")
            is_silent = True
            pause()
            continue
        if is_silent:
            print_message("It answers again.")
        return answer


def pause() -> None:
    """Wait for a moment. Raises BrokenPipeError as soon as the reader of our output is gone."""
    output = select.poll()
    output.register(sys.stdout, 0)
    if output.poll(_POLL_SECONDS * 1000):
        raise BrokenPipeError
