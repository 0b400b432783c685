"""Experiments that make their own jobs: the results service's side."""
