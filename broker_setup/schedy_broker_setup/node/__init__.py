"""The private RabbitMQ node of `schedy up`."""
