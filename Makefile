# Every target works in a fresh clone: what it needs is installed first into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help install dev demo test fuzz check format clean

help: ## print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

install: $(VENV)/.runtime ## create .venv with the fleetgate command in it
dev: $(VENV)/.dev ## add what tests and checks need

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) install --editable '.[dev]'
	@touch $@

demo: install ## serve the two-cluster demo; options in ARGS, e.g. make demo ARGS="--port 8101"
	$(BIN)/fleetgate demo $(ARGS)

test: dev ## run the tests; options in ARGS, e.g. make test ARGS="-k split"
	$(BIN)/python -m pytest $(ARGS)

fuzz: dev ## the differential tests with 100,000 cases each
	FLEETGATE_FUZZ_EXAMPLES=100000 $(BIN)/python -m pytest tests/http/test_differential.py --timeout=0 $(ARGS)

check: dev ## formatting, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: dev ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove everything the other targets made
	rm -rf $(VENV) .fleetgate .pytest_cache .mypy_cache .ruff_cache .hypothesis
