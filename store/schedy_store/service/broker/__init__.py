"""The results service's side of RabbitMQ: what is taken from it, and what is sent to it."""
