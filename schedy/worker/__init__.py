"""The worker: calls, tickets, leases and the session that connects them."""
