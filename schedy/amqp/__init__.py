"""The connection to RabbitMQ: the only package of the library that imports pika."""
