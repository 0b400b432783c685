"""Names of Schedy's exchanges, queues, routing keys and headers on the broker, each spelled out only here."""

INBOX_EXCHANGE = "schedy.inbox"
"""Topic exchange, durable: everything that clients send."""

JOBS_EXCHANGE = "schedy.jobs"
"""Direct exchange, durable: tickets; the routing key is the experiment's name."""

DEAD_EXCHANGE = "schedy.dead"
"""Fanout exchange, durable: messages that could not be processed."""

REPORTS_QUEUE = "schedy.reports"
REQUESTS_QUEUE = "schedy.requests"
DEAD_QUEUE = "schedy.dead"

STORE_EXCHANGE_PREFIX = "schedy.store."
"""Fanout exchange, durable, without messages: the store knows its broker by the id that follows."""

JOBS_QUEUE_PREFIX = "schedy.jobs."

REPORT_KEY_PREFIX = "report."
"""Messages of workers about jobs they hold or want."""

BUNDLE_KEY = f"{REPORT_KEY_PREFIX}bundle"
"""That of several reports in one message."""

CHANGE_KEY_PREFIX = "change."
"""Messages of pushers: experiments and jobs added, changed, deleted."""

REQUEST_KEY_PREFIX = "request."
"""Reads."""

SERVICE_KEY_PREFIX = "service."
"""Messages of service instances to the active one."""

REPORTS_BINDINGS = (
    f"{REPORT_KEY_PREFIX}#",
    f"{CHANGE_KEY_PREFIX}#",
    f"{SERVICE_KEY_PREFIX}#",
)
REQUESTS_BINDINGS = (f"{REQUEST_KEY_PREFIX}#",)

REPLY_QUEUE = "amq.rabbitmq.reply-to"
"""RabbitMQ's pseudo-queue for direct replies."""

ANSWER_BUNDLE_ID = "answers"
"""The correlation id of several answers in one message, each of which has its own."""

APP_ID = "schedy"
CONTENT_TYPE = "application/json"

DEAD_REASON_HEADER = "schedy-reason"
DEAD_SOURCE_HEADER = "schedy-routing-key"
DEAD_USER_HEADER = "schedy-user"


def jobs_queue(experiment_name: str) -> str:
    """Return the name of the queue with the tickets of an experiment."""
    return JOBS_QUEUE_PREFIX + experiment_name
