"""Random numbers that depend on the seed of a definition, and on what they are for."""

import random

from schedy.search.definition import Definition


def generator(definition: Definition, number: int, purpose: str = "") -> random.Random:
    """Return a generator for one suggestion: the same for the same seed, number and purpose."""
    return random.Random(f"{definition.seed} {number} {purpose}")  # noqa: S311 - nothing secret


def numeric_seed(definition: Definition, number: int) -> int:
    """Return a seed below 2**32 for one suggestion, for libraries that take one."""
    return generator(definition, number, "seed").getrandbits(32)
