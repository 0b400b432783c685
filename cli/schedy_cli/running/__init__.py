"""What `schedy run` does: programs as workers, whose output is read for results."""
