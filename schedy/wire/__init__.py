"""What goes over the wire: names, topology, values and messages."""
