# Every target works in a fresh clone: what it needs is installed first into .venv.
PYTHON ?= python3
VENV := .venv
COMPILED := .venv-compiled
LATEST := .venv-latest
BIN := $(VENV)/bin
# Many tests wait for processes and deadlines. Three such files at a time, and one that only computes in the time
# that they leave, keep two cores busy: tests/conftest.py chooses them.
ORDERED := --dist loadfile --no-loadscope-reorder
PARALLEL := -n 4 $(ORDERED)
# The tests of the packages that do no I/O, which [tool.coverage] in pyproject.toml names.
PURE := tests/routing tests/http tests/http2 tests/policies tests/validation tests/translate tests/resources tests/sources/test_registration.py
FUZZED := tests/http/test_differential.py tests/http/test_heads.py tests/http2 tests/dataplane/test_http2_sequences.py
BUILDS := --fleetgate fleetgate=$(COMPILED)/bin/python --fleetgate fleetgate-py=$(BIN)/python
PIP := -m pip --disable-pip-version-check --quiet
# Bytecode is kept whatever the machine prefers: tests start hundreds of Python processes, and import all of it.
export PYTHONDONTWRITEBYTECODE :=
# Wheels only: an sdist would be built with whatever its build requirements bring, which no lock can name.
LOCKED := --require-hashes --only-binary :all:
# The backend is in requirements/build.txt, so a build fetches nothing either.
ITSELF := --no-deps --no-build-isolation
PROJECT := pyproject.toml requirements/runtime.txt requirements/build.txt

.PHONY: help install dev load compiled demo test test-compiled test-latest coverage fuzz compare compare-routes compare-workers drills hostile soak check docs format lock clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

install: $(VENV)/.runtime ## create .venv with the fleetgate command in it
dev: $(VENV)/.dev ## add what tests and checks need
load: $(VENV)/.load ## add what load tests need

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(PROJECT) | $(BIN)/python
	$(BIN)/python $(PIP) install $(LOCKED) -r requirements/runtime.txt -r requirements/build.txt
	$(BIN)/python $(PIP) install $(ITSELF) --editable .
	@touch $@

$(VENV)/.dev $(VENV)/.load: $(VENV)/.%: requirements/%.txt $(VENV)/.runtime
	$(BIN)/python $(PIP) install $(LOCKED) -r $<
	@touch $@

compiled: $(COMPILED)/.compiled ## create .venv-compiled: the same fleetgate, its data plane compiled (needs a C compiler)

$(COMPILED)/.compiled: $(PROJECT) requirements/load.txt hatch_build.py $(shell find proxy controlplane deploy -type f -not -name '*.pyc')
	$(PYTHON) -m venv $(COMPILED)
	$(COMPILED)/bin/python $(PIP) install $(LOCKED) -r requirements/load.txt -r requirements/build.txt
	HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 $(COMPILED)/bin/python $(PIP) install $(ITSELF) --force-reinstall .
	@touch $@

demo: install ## serve the two-cluster demo; options in ARGS, e.g. make demo ARGS="--port 8101"
	$(BIN)/fleetgate demo $(ARGS)

test: dev ## run the tests; options in ARGS, e.g. make test ARGS="-k split"
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-compiled: dev compiled ## run the tests of the wire and the data plane against the compiled worker
	FLEETGATE_WORKER_PYTHON=$(COMPILED)/bin/python $(BIN)/python -m pytest tests/wire tests/dataplane $(PARALLEL) $(ARGS)

test-latest: ## run the tests with the newest release of every dependency, in a new .venv-latest
	$(PYTHON) -m venv --clear $(LATEST)
	$(LATEST)/bin/python $(PIP) install --upgrade pip
	$(LATEST)/bin/python $(PIP) install --editable '.[dev,load]'
	$(LATEST)/bin/python -m pytest $(PARALLEL) $(ARGS)

coverage: dev ## run the tests of the pure packages; fail when they leave out over 5 % of the branches
	$(BIN)/python -m pytest $(PURE) $(PARALLEL) --cov --cov-report=term --cov-report=json:$(VENV)/coverage.json $(ARGS)
	$(BIN)/python .ci/branches $(VENV)/coverage.json

fuzz: dev ## over 600,000 messages and sequences: against h11, httptools, h2 and nghttp2, and our own memory
	FLEETGATE_FUZZ_EXAMPLES=100000 $(BIN)/python -m pytest $(FUZZED) --timeout=0 $(ARGS)

compare: $(VENV)/.load compiled ## measure beside nginx, HAProxy, Envoy (Debian: nginx-light haproxy wrk nghttp2-client); options in ARGS, e.g. --quick
	$(BIN)/python -m loadtest.compare $(BUILDS) $(ARGS)

compare-routes: $(VENV)/.load compiled ## measure routing tables of 1 to 100,000 routes, and swaps of them
	$(BIN)/python -m loadtest.compare.routes $(BUILDS) $(ARGS)

compare-workers: $(VENV)/.load compiled ## measure one worker and two
	$(BIN)/python -m loadtest.compare.workers $(BUILDS) $(ARGS)

drills: $(VENV)/.load compiled ## fail a cluster in twelve ways, and run slow requests among fast ones, before fleetgate and its peers; options in ARGS
	$(BIN)/python -m loadtest.drills --fleetgate fleetgate=$(COMPILED)/bin/python $(ARGS)

hostile: $(VENV)/.load compiled ## measure normal traffic beside clients and endpoints that flood a worker; options in ARGS, e.g. --kinds 404 chunks
	$(BIN)/python -m loadtest.hostile --fleetgate fleetgate=$(COMPILED)/bin/python $(ARGS)

soak: $(VENV)/.load compiled ## measure slow clients, memory after 1,000,000 requests, and memory of idle connections
	$(BIN)/python -m loadtest.soak $(BUILDS) $(ARGS)

check: dev ## formatting, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: install ## write docs/annotations.md and docs/findings.md from the tables of annotations and findings
	$(BIN)/python -m controlplane.cli.annotations_doc
	$(BIN)/python -m controlplane.cli.findings_doc

format: dev ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Resolved together first, and each file then keeps these versions, so that no two disagree. Hashes are those of
# every platform's wheels; no registry's address is written.
RESOLVE := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
EACH = cp $(VENV)/together.txt $(1) && $(RESOLVE) --generate-hashes --output-file $(1)

lock: $(BIN)/python ## renew requirements/*.txt: the newest release of everything that pyproject.toml allows
	$(BIN)/python $(PIP) install $(LOCKED) -r requirements/uv.txt
	$(RESOLVE) --all-extras --group build --group uv pyproject.toml --output-file $(VENV)/together.txt --upgrade
	$(call EACH,requirements/runtime.txt) pyproject.toml
	$(call EACH,requirements/dev.txt) pyproject.toml --extra dev
	$(call EACH,requirements/load.txt) pyproject.toml --extra load
	$(call EACH,requirements/build.txt) --group build
	$(call EACH,requirements/uv.txt) --group uv

clean: ## remove everything the other targets made
	rm -rf $(VENV) $(COMPILED) $(LATEST) .fleetgate .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
