"""The results service: its loop, its side of the broker, and the searches."""
