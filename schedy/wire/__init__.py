"""The wire format: names, topology, values and messages."""
