# `make search` and `make test` each do everything on a fresh machine with Python 3.11, 3.12 or 3.13 and gcc.

FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help search test docs faults bench bench-gpu clean
.DEFAULT_GOAL := help

help:
	@echo 'make search   sets up and runs a first search; ends with its leaderboard'
	@echo 'make test     sets up and runs all checks: style, types, import rules, tests'
	@echo 'make docs     installs archsearch anew, elsewhere, and follows the pages about own data and tasks; three minutes'
	@echo 'make faults   stops and breaks real searches in all ways we know, compares what they come to; takes 7 to 20 minutes'
	@echo 'make bench    measures the engines and whole training steps on this machine; takes some 20 minutes'
	@echo 'make bench-gpu  the same on a GPU: populations of settings against cuDNN one after another; five minutes'
	@echo 'make clean    removes the virtual environment and all caches; results stay'
	@echo
	@echo 'make search ARGS="budget.candidates=50 workers=4"   passes settings on'
	@echo 'make faults ARGS="--only kills,journal-truncated"    some of its rows; --help says more'
	@echo 'make test PYTHON=python3.12                         uses another Python'

search: $(VENV)/installed
	$(BIN)/archsearch search $(ARGS)

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n auto --dist worksteal

docs: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m fresh tests/test_docs_to_the_letter.py $(ARGS)

faults: $(VENV)/installed-dev
	PYTHONPATH=tests $(BIN)/python -m faults $(ARGS)

bench: $(VENV)/installed
	$(BIN)/python benchmarks/engines.py $(ARGS)
	$(BIN)/python benchmarks/training_steps.py

bench-gpu: $(VENV)/installed
	$(BIN)/python benchmarks/gpu.py $(ARGS)

# Stamps: each is newer than what it was made of as long as nothing has to be installed anew.
$(VENV)/installed: $(VENV)/made pyproject.toml constraints.txt
	@echo 'Installing archsearch and the versions pinned in constraints.txt; PyTorch takes a few minutes.'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/made pyproject.toml constraints.txt
	@echo 'Installing archsearch and the versions pinned in constraints.txt; PyTorch takes a few minutes.'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(VENV)/installed $@

$(VENV)/made:
	@'$(PYTHON)' -c '$(FITS)' || { echo 'archsearch needs Python 3.11, 3.12 or 3.13 with venv, found $(or $(PYTHON),none).' \
		'Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find archsearch conf tasks tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
