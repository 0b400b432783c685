"""What `schedy up` runs."""
