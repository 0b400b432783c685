"""`schedy watch`: what its screens show, the terminal that they are drawn on, and lines for a pipe."""
