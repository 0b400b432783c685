"""Breaks a small Schedy in every way that its promises allow for, and checks that they were kept: ``make chaos``."""
