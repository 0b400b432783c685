"""A network that learns to read digits; a job whose learning curve promises little ends early.

    schedy add Digits random --rate 'loguniform(1e-5, 0.02)' --units 'int(8, 128)' \
        --minimize loss --max-jobs 20 --seed 7 --pruner 'asha(reduction_factor=3)'
    python examples/pruned.py
"""

from typing import Any

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import schedy

EPOCHS = 20


def train(job: schedy.Job, data: list[Any]) -> None:
    learn, images, learn_digits, digits = data
    model = MLPClassifier(
        hidden_layer_sizes=(job.hyperparameters["units"],),
        solver="sgd",
        batch_size=10,
        learning_rate_init=job.hyperparameters["rate"],
        random_state=0,
    )
    for epoch in range(1, EPOCHS + 1):
        model.partial_fit(learn, learn_digits, classes=range(10))
        job.results["loss"] = loss = log_loss(digits, model.predict_proba(images))
        job.results["epochs"] = epoch
        job.report(epoch, loss=loss)
        if job.should_prune():
            raise schedy.Pruned


def main() -> None:
    images, digits = load_digits(return_X_y=True)
    data = train_test_split(images / 16, digits, random_state=0)
    experiment = schedy.SchedyDB().get_experiment("Digits")
    experiment.work(lambda job: train(job, data))


if __name__ == "__main__":
    main()
