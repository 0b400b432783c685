"""Reading the command line."""
