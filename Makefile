# Everything runs in .venv; nothing is installed into your Python.
PYTHON ?= python3
export PYTHON

BIN = .venv/bin
.DEFAULT_GOAL := help
.PHONY: help venv demo test coverage check lint bench chaos clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo:  ## a broker, a service, workers and jobs on this machine, from nothing
	@scripts/install-requirements demo
	@$(MAKE) --no-print-directory .venv/installed
	@$(BIN)/python examples/demo.py

# Second run: the group `timed` in one process, the model's search beside it at the lowest priority.
test:  ## what CI runs: style, types, imports, all tests
	@scripts/install-requirements test
	@$(MAKE) --no-print-directory venv lint
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not alone"
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m alone

# Takes nearly twice as long as the tests alone: every process is traced.
coverage: venv  ## which lines no test runs
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 4 --dist worksteal -m "not alone"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --show-missing --skip-covered

check: lint  ## the quick part of the tests, in a minute: style, types, imports, unit tests
	$(BIN)/python -m pytest -q -n 2 tests/unit

lint: venv  ## style, types and imports alone
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: venv .venv-bench/installed  ## measure, beside Celery and Optuna
	@$(BIN)/python -m benchmarks

BROKER ?= 3.10
STORE ?= both
SECONDS ?= 600
chaos: venv  ## break everything and check the promises: BROKER=3.10|4.0|4.3|cluster STORE= SECONDS= SEED=
	@$(BIN)/python -m chaos --broker $(BROKER) --store $(STORE) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

venv: .venv/installed-dev  ## .venv with Schedy and the development tools

# The stamps are newer than what they were made from.
.venv/installed: pyproject.toml
	@echo "Preparing .venv ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[web]'
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Adding the development tools to .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The peers have an environment of their own; without it their columns say so.
.venv-bench/installed:
	@echo "Preparing .venv-bench ..."
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check \
		'celery[sqlalchemy]' optuna optuna-dashboard 'psycopg[binary]' nevergrad 'numpy<2.4' && touch $@ || rm -rf .venv-bench

clean:  ## remove .venv and what tests and builds leave
	rm -rf .venv .venv-bench build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
