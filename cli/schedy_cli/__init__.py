"""The command line of Schedy: one module for each group of commands."""
