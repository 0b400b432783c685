"""Search algorithms and pruners, and the process in which the results service runs them."""
