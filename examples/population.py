"""Population based training: the worst of the population go on from the networks of the best, at another rate.

    schedy add Population pbt --rate 'loguniform(0.001, 10)' --maximize accuracy --seed 1 \
        --option population_size 6 --option max_generations 4 \
        --option explore '{"rate": {"perturb": {"min_factor": 0.5, "max_factor": 2}}}'
    python examples/population.py CHECKPOINTS

CHECKPOINTS is a folder that all workers share. A new job begins with the results of its parent, among them where its
checkpoint is.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import schedy

EPOCHS = 5
"""Of each job."""
BATCH = 50


@dataclass
class Network:
    """One layer and softmax, trained by gradient descent."""

    weights: Any
    epochs: int

    @classmethod
    def begun(cls, inputs: int, outputs: int) -> "Network":
        return cls(np.zeros((inputs, outputs)), epochs=0)

    @classmethod
    def load(cls, file: Path) -> "Network":
        with np.load(file) as saved:
            return cls(saved["weights"], int(saved["epochs"]))

    def save(self, file: Path) -> None:
        unfinished = file.with_suffix(".part.npz")
        np.savez(unfinished, weights=self.weights, epochs=self.epochs)
        unfinished.replace(file)  # whoever is killed while it writes leaves the last one whole

    def train_one_epoch(self, images: Any, digits: Any, rate: float) -> None:
        for start in range(0, len(images), BATCH):
            batch, wanted = images[start : start + BATCH], digits[start : start + BATCH]
            scores = batch @ self.weights
            chances = np.exp(scores - scores.max(axis=1, keepdims=True))
            chances /= chances.sum(axis=1, keepdims=True)
            chances[np.arange(len(batch)), wanted] -= 1
            self.weights -= rate * batch.T @ chances / len(batch)
        self.epochs += 1

    def accuracy(self, images: Any, digits: Any) -> float:
        return float(np.mean(np.argmax(images @ self.weights, axis=1) == digits))


def train(job: schedy.Job, folder: Path, data: list[Any]) -> None:
    learn, test, learn_digits, test_digits = data
    goal = job.results.get("epochs", 0) + EPOCHS  # the parent's, which may be ahead of the other members
    # What an interrupted attempt of this job had put is further than the parent.
    checkpoint = job.previous_results.get("checkpoint") or job.results.get("checkpoint")
    network = Network.load(Path(checkpoint)) if checkpoint else Network.begun(learn.shape[1], 10)
    job.results["accuracy_before"] = network.accuracy(test, test_digits)
    # The checkpoint of the parent stays as it is: others may go on from it, too.
    file = folder / f"{job.job_id}-{job.attempt}.npz"
    while network.epochs < goal:
        network.train_one_epoch(learn, learn_digits, job.hyperparameters["rate"])
        network.save(file)
        job.results["checkpoint"] = str(file)
        job.results["epochs"] = network.epochs
        job.results["accuracy"] = network.accuracy(test, test_digits)
        job.put()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoints", type=Path, help="a folder that all workers share")
    folder = parser.parse_args().checkpoints.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    images, digits = load_digits(return_X_y=True)
    data = train_test_split(images / 16, digits, random_state=0)
    experiment = schedy.SchedyDB().get_experiment("Population")
    experiment.work(lambda job: train(job, folder, data))


if __name__ == "__main__":
    main()
