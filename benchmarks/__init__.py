"""What Schedy costs, measured beside the same work in raw pika on the same broker in the same run."""
