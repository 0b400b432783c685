"""The definition of a search: hyperparameters, objectives, budget, algorithm and pruner."""
