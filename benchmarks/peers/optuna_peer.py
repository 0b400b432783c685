"""``python -m benchmarks.peers.optuna_peer STORAGE``: a worker of Optuna on no-op trials of a random search.

STORAGE is a URL, or a file for the journal. It speaks as `benchmarks.worker` does: it reads the name of a study and the
number of trials, says `ready`, waits for a line, does the trials, and says how many, and when the first and the last
began. With a number behind STORAGE it enqueues so many trials instead, and prints how many per second.

Runs in the environment of the peers.
"""

import json
import sys
import time
import uuid
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def main(storage: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    stored = storage if "://" in storage else JournalStorage(JournalFileBackend(storage))
    while words := sys.stdin.readline().split():
        name, trials = words[0], int(words[1])
        sampler = optuna.samplers.RandomSampler()
        study = optuna.create_study(study_name=name, storage=stored, sampler=sampler, load_if_exists=True)
        moments: list[float] = []

        def _objective(trial: Any, moments: list[float] = moments) -> float:
            moments.append(time.perf_counter())
            return float(trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1))

        print(json.dumps("ready"), flush=True)
        sys.stdin.readline()
        study.optimize(_objective, n_trials=trials)
        print(json.dumps([len(moments), moments[0], moments[-1]]), flush=True)


def enqueue(storage: str, trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=uuid.uuid4().hex, storage=storage)
    started = time.perf_counter()
    for number in range(trials):
        study.enqueue_trial({"x": number, "y": 2})
    print(trials / (time.perf_counter() - started))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        enqueue(sys.argv[1], int(sys.argv[2]))
    else:
        main(sys.argv[1])
