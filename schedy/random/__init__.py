"""Distributions of hyperparameters, for all search algorithms.

Each maps a quantile in [0, 1) to a value (its inverse cumulative distribution function) and back, so that one
implementation serves random draws, quasi-random points and samplers that search the unit cube. In JSON a distribution
is its kind and its parameters: ``{"uniform": {"low": 0, "high": 1}}``; people write ``uniform(0, 1)``.
"""

from schedy.random.continuous import LogNormal, LogUniform, Normal, Uniform
from schedy.random.discrete import Int, QUniform
from schedy.random.distribution import (
    KINDS,
    Distribution,
    Numeric,
    distribution_class,
    distribution_from_json,
    distributions_from_json,
    distributions_to_json,
    parse_distribution,
)
from schedy.random.values import Choice, Constant, Ordinal

__all__ = [
    "KINDS",
    "Choice",
    "Constant",
    "Distribution",
    "Int",
    "LogNormal",
    "LogUniform",
    "Normal",
    "Numeric",
    "Ordinal",
    "QUniform",
    "Uniform",
    "distribution_class",
    "distribution_from_json",
    "distributions_from_json",
    "distributions_to_json",
    "parse_distribution",
]
