"""A network that learns to read digits; a job whose learning curve promises little ends early.

    schedy add Digits random rate loguniform '{"low": 0.00001, "high": 1}' units int '{"low": 8, "high": 64}' \
        --maximize accuracy --max-jobs 20 --seed 7 --pruner 'asha {"reduction_factor": 3}'
    python examples/pruned.py
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import schedy

EPOCHS = 27


def train(job: schedy.Job, known: tuple[object, object], unknown: tuple[object, object]) -> None:
    model = MLPClassifier(
        hidden_layer_sizes=(job.hyperparameters["units"],),
        solver="sgd",
        learning_rate_init=job.hyperparameters["rate"],
        random_state=0,
    )
    for epoch in range(1, EPOCHS + 1):
        model.partial_fit(*known, classes=range(10))
        job.results["accuracy"] = accuracy = model.score(*unknown)
        job.results["epochs"] = epoch
        job.report(epoch, accuracy=accuracy)
        if job.should_prune():
            raise schedy.Pruned


def main() -> None:
    images, digits = load_digits(return_X_y=True)
    learn, test, learn_digits, test_digits = train_test_split(images / 16, digits, random_state=0)
    experiment = schedy.SchedyDB().get_experiment("Digits")
    while True:
        try:
            job = experiment.next_job(timeout=None)
        except schedy.NoJobError:
            return
        with job:
            train(job, (learn, learn_digits), (test, test_digits))


if __name__ == "__main__":
    main()
