# All tasks of the project. They need make and Python 3.11 or newer, and no other installed software.
# Works with GNU make 3.81 (macOS) and newer.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PORT ?= 8420
ROUNDS ?= 5
SEED ?= 1
DURATION ?= 3
KILL_ROUNDS ?= 200
WORKERS ?= 3
NODE_FAULTS ?= 200
POLL_RUNS ?= 5000
FUZZ_INPUTS ?= 1000000

# The first of these that runs and is new enough (a name on PATH may be a launcher for a missing version).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint format docs bench simulation proof lock clean

help: ## print this list
	@echo "Tidegate: one gateway for webhooks and APIs. Targets:"
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.runtime ## install Tidegate into .venv (the command is .venv/bin/tidegate)
	@echo "ready: $(BIN)/tidegate"

demo: $(VENV)/.runtime ## start the gateway with the sample company (PORT=8420)
	@exec $(BIN)/tidegate demo --port $(PORT)

test: $(VENV)/.dev ## install the test dependencies and run all tests (WORKERS=0: in one process)
	@$(BIN)/python tests/run.py -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: lint test ## format, lint, types, import order, docs and tests: what CI runs

lint: $(VENV)/.dev ## format, lint and types, without the tests
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

docs: $(VENV)/.dev ## update the generated parts of docs/reference
	@$(BIN)/python docs/generate.py

bench: $(VENV)/.dev ## compare with the floors, side by side (ONLY="ingest start" ROUNDS=5 DURATION=3 DATABASE=URL)
	@$(BIN)/python -m bench.run $(ONLY) --rounds $(ROUNDS) --seconds $(DURATION) $(if $(DATABASE),--database $(DATABASE))

simulation: $(VENV)/.dev ## print how the circuit breaker treats simulated destinations (SEED=1)
	@PYTHONPATH=tests $(BIN)/python -m simulation $(SEED)

proof: $(VENV)/.dev ## run the long fault tests, about half an hour (KILL_ROUNDS=200 NODE_FAULTS=200 FUZZ_INPUTS=1000000)
	@TIDEGATE_KILL_ROUNDS=$(KILL_ROUNDS) TIDEGATE_NODE_FAULTS=$(NODE_FAULTS) \
		TIDEGATE_POLL_RUNS=$(POLL_RUNS) TIDEGATE_FUZZ_INPUTS=$(FUZZ_INPUTS) $(BIN)/python -m pytest -rs --timeout 0 tests/guarantees -m "proof or not proof"

lock: $(VENV)/.dev ## update the locked versions (needs the network; installs uv into .venv)
	@$(PIP) install --quiet uv
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" --extra postgres --extra regex --extra schema --extra mail --extra feeds --extra yaml --group build pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" -c requirements.lock --extra postgres --extra regex --extra schema --extra mail --extra feeds --extra yaml --group build --group dev \
		pyproject.toml \
		-o requirements-dev.lock

clean: ## remove .venv, caches and build results (data directories stay)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- how .venv is created -------------------------------------------------------------------------------------
# The stamp files are older than a changed lock or pyproject.toml, so the next target installs again, in place.
# `--no-deps` and `--no-build-isolation`: the lock lists every installed package with its hash, including hatchling.

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python 3.11 or newer was found." >&2; \
		echo "hint: install one (on Debian: sudo apt-get install python3 python3-venv), or: make PYTHON=/path/to/python3" >&2; \
		exit 2; fi
	@if ! $(PYTHON) -c 'import venv, ensurepip' >/dev/null 2>&1; then \
		echo "error: $(PYTHON) has no venv module." >&2; \
		echo "hint: on Debian and Ubuntu it is a separate package: sudo apt-get install python3-venv" >&2; \
		exit 2; fi
	@echo "creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing the dependencies of Tidegate"
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing the dependencies of the tests"
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
