"""Bayesian optimization by a Gaussian process (Jones et al. 1998), on scikit-learn's regressor."""
