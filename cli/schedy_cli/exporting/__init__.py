"""What `schedy export` writes: tables of jobs or points, in files that are complete or not there."""
