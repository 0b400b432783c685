"""Names of everything Schedy has on the broker. The only place where they are spelled out."""

INBOX_EXCHANGE = "schedy.inbox"
"""Topic exchange, durable: all that clients send."""

JOBS_EXCHANGE = "schedy.jobs"
"""Direct exchange, durable: tickets; the routing key is the experiment's name."""

DEAD_EXCHANGE = "schedy.dead"
"""Fanout exchange, durable: what could not be handled."""

REPORTS_QUEUE = "schedy.reports"
REQUESTS_QUEUE = "schedy.requests"
DEAD_QUEUE = "schedy.dead"

JOBS_QUEUE_PREFIX = "schedy.jobs."

REPORT_KEY_PREFIX = "report."
"""What workers send about jobs they hold or want."""

CHANGE_KEY_PREFIX = "change."
"""What pushers send: experiments and jobs added, changed, deleted."""

REQUEST_KEY_PREFIX = "request."
"""Reads."""

SERVICE_KEY_PREFIX = "service."
"""What service instances send to whichever of them is active."""

REPORTS_BINDINGS = (
    f"{REPORT_KEY_PREFIX}#",
    f"{CHANGE_KEY_PREFIX}#",
    f"{SERVICE_KEY_PREFIX}#",
)
REQUESTS_BINDINGS = (f"{REQUEST_KEY_PREFIX}#",)

REPLY_QUEUE = "amq.rabbitmq.reply-to"
"""RabbitMQ's pseudo-queue for direct replies."""

APP_ID = "schedy"
CONTENT_TYPE = "application/json"

DEAD_REASON_HEADER = "schedy-reason"
DEAD_SOURCE_HEADER = "schedy-routing-key"
DEAD_USER_HEADER = "schedy-user"


def jobs_queue(experiment_name: str) -> str:
    """Return the name of the queue with the tickets of an experiment."""
    return JOBS_QUEUE_PREFIX + experiment_name
