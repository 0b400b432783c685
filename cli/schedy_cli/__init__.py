"""The command line of Schedy."""
