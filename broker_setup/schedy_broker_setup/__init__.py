"""Topology, permissions and the private RabbitMQ node of Schedy."""
