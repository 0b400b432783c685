"""Output: jobs, experiments, events, tables and curves, as text and as JSON."""
