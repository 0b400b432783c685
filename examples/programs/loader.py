"""Fits a line to points that processes of its own make, as the data loaders of PyTorch do. It resumes from checkpoints.

Its hyperparameters come as the overrides of Hydra: lr=0.1 loaders=2.
"""

import json
import multiprocessing
import os
import random
import sys
from multiprocessing.queues import Queue
from pathlib import Path

Batch = list[tuple[float, float]]


def load(seed: int, batches: "Queue[Batch]") -> None:
    """Make batches for ever."""
    source = random.Random(seed)  # noqa: S311
    while True:
        points = [source.uniform(-1, 1) for _ in range(16)]
        batches.put([(x, 3 * x + 1 + source.gauss(0, 0.1)) for x in points])


def main() -> None:
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    lr, loaders = float(given["lr"]), int(given["loaders"])
    checkpoint = Path(os.environ["SCHEDY_DIR"]) / "checkpoint.json"
    first, slope, offset = json.loads(checkpoint.read_text()) if checkpoint.exists() else (1, 0.0, 0.0)
    batches: Queue[Batch] = multiprocessing.Queue(8)
    for seed in range(loaders):
        multiprocessing.Process(
            target=load, args=(seed, batches)
        ).start()  # not daemons: this program forgets to end them
    for epoch in range(first, 11):
        errors = []
        for x, y in batches.get():
            error = slope * x + offset - y
            slope -= lr * error * x
            offset -= lr * error
            errors.append(error**2)
        checkpoint.write_text(json.dumps([epoch + 1, slope, offset]))
        print(json.dumps({"epoch": epoch, "loss": sum(errors) / len(errors)}), flush=True)
    os._exit(0)  # it forgets to end its loaders


if __name__ == "__main__":
    main()
