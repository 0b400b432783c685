"""Celery on the same no-op jobs: quorum queue, confirmed publishes, acknowledged late, results in SQL.

Runs in the environment of the peers. `celery -A benchmarks.peers.celery_peer worker` is a worker;
``python -m benchmarks.peers.celery_peer QUEUE COUNT`` fills a queue, lets the workers begin, and prints jobs per second
between the first beginning and the last; with `push` behind it fills the queue, and prints how many per second.
"""

import os
import sys
import time
from pathlib import Path

from celery import Celery  # type: ignore[import-untyped,import-not-found,unused-ignore]

_BEGUN = Path(os.environ["BENCH_FOLDER"]) / "celery-begun"
_POLL_SECONDS = 0.05
_WORKERS = os.environ["BENCH_WORKERS"].split()

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend=f"db+{os.environ['BENCH_STORE']}")
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    task_default_queue_type="quorum",
    task_default_exchange_type="topic",
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "1")),
    broker_connection_retry_on_startup=True,
)


@app.task(name="no_op")  # type: ignore[untyped-decorator,unused-ignore]
def no_op(_x: int, _y: int) -> None:
    """Note that a job begins, by the clock that all processes share."""
    descriptor = os.open(_BEGUN, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{time.perf_counter():.6f}\n".encode())
    os.close(descriptor)


def main(queue: str, count: int) -> None:
    _BEGUN.unlink(missing_ok=True)
    app.amqp.queues.select_add(queue)
    for _ in range(count):
        no_op.apply_async((1, 2), queue=queue)
    while len(app.control.ping(destination=_WORKERS)) < len(_WORKERS):
        time.sleep(_POLL_SECONDS)
    app.control.add_consumer(queue, destination=_WORKERS)
    while not _BEGUN.exists() or len(_BEGUN.read_text().split()) < count:
        time.sleep(_POLL_SECONDS)
    begun = sorted(map(float, _BEGUN.read_text().split()))
    app.control.cancel_consumer(queue, destination=_WORKERS, reply=True)
    _delete(queue)
    print((count - 1) / (begun[-1] - begun[0]))


def push(queue: str, count: int) -> None:
    app.amqp.queues.select_add(queue)
    started = time.perf_counter()
    for _ in range(count):
        no_op.apply_async((1, 2), queue=queue)
    print(count / (time.perf_counter() - started))
    _delete(queue)


def _delete(queue: str) -> None:
    with app.connection_or_acquire() as connection:
        connection.default_channel.queue_delete(queue)


if __name__ == "__main__":
    (push if sys.argv[3:] == ["push"] else main)(sys.argv[1], int(sys.argv[2]))
