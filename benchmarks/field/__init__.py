"""Searches beside each other: problems of the field, the tools that solve them, and what came of it."""
