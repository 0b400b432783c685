"""The broker as a results service prepares it: exchanges, queues, and the mark by which a store knows its broker."""

from dataclasses import dataclass

from schedy.tls import NO_TLS_FILES, TlsFiles
from schedy.wire.topology import store_exchange
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.declaring import declare_exchange, setup
from schedy_broker_setup.inspection import ObjectState, Presence, exchange_state


@dataclass(frozen=True, slots=True)
class ServedBroker:
    """A broker behind one or several URLs. Opens a connection for each call. Every method may raise BrokerError."""

    urls: str
    tls: TlsFiles = NO_TLS_FILES

    def prepare(self) -> list[str]:
        """Declare what is missing; return the changes, one line each."""
        return setup(self.urls, tls=self.tls)

    def has_mark(self, broker_id: str) -> bool:
        """Return whether it is the broker with this id."""
        return self.mark_state(broker_id).presence is Presence.THERE

    def mark_state(self, broker_id: str) -> ObjectState:
        """Inspect the exchange that names this broker."""
        with open_connection(self.urls, purpose="setup", tls=self.tls) as connection:
            return exchange_state(connection, store_exchange(broker_id).name)

    def leave_mark(self, broker_id: str) -> None:
        """Make it the broker with this id."""
        with open_connection(self.urls, purpose="setup", tls=self.tls) as connection:
            declare_exchange(connection, store_exchange(broker_id))
