"""Optuna's samplers and pruners over the jobs of an experiment."""
