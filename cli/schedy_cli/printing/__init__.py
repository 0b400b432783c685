"""Printing jobs, experiments, tables and curves."""
