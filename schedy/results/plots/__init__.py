"""Plots of an experiment: what is drawn (`data`), from what is read (`source`), and one module for each library."""
