"""Which classifier fits the wine data, and with which hyperparameters? Those of each exist only when it was chosen.

    schedy add Wine tpe --model 'choice(svc, forest, then={
            "svc": {"C": "loguniform(0.01, 1000)", "gamma": "loguniform(0.0001, 10)"},
            "forest": {"depth": "int(1, 12)", "features": "uniform(0.1, 1)"}})' \
        --maximize accuracy --max-jobs 30
    python examples/wine.py

Start it as often as you like, on as many machines; each ends when all jobs have been made and taken.
"""

from typing import Any

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import schedy


def model_of(hyperparameters: dict[str, Any]) -> Any:
    if hyperparameters["model"] == "svc":
        return make_pipeline(StandardScaler(), SVC(C=hyperparameters["C"], gamma=hyperparameters["gamma"]))
    return RandomForestClassifier(
        n_estimators=20,
        max_depth=hyperparameters["depth"],
        max_features=hyperparameters["features"],
        random_state=0,
    )


def main() -> None:
    wines, kinds = load_wine(return_X_y=True)
    experiment = schedy.SchedyDB().get_experiment("Wine")
    for job in experiment.jobs():
        with job:
            scores = cross_val_score(model_of(job.hyperparameters), wines, kinds, cv=5)
            job.results["accuracy"] = scores.mean()
            job.results["worst_fold"] = scores.min()


if __name__ == "__main__":
    main()
