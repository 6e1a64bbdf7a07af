# make demo    set-up, then the main job on example pods; ends by itself
# make test    everything CI runs (as root on Debian it fetches real containerds for the end-to-end tests)
# make unit    the tests that need no runtime          make lint   style, types, layers, generated code
# make bench   latency, CPU and memory of the daemon   make image  container image (needs docker or podman)
# make lock    lock files anew from pyproject.toml     make clean  remove .venv and .cache

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
IMAGE ?= koordnri:0.1.0
DOCKER ?= docker
PYTEST_ARGS ?=

export PYTHON

# First, so that a bare `make` explains itself instead of starting something.
help:
	@sed -n 's/^# \{0,1\}//;/^$$/q;p' Makefile

.PHONY: help demo test lint unit lab bench image lock clean

demo: $(VENV)/.runtime
	$(BIN)/koordnri simulate -f examples/pods.yaml --policy examples/policy.yaml --node examples/node.yaml

test: $(VENV)/.dev lab lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/generate_protos.py --check

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not e2e" $(PYTEST_ARGS)

# Real containerds, a VM and helm for the tests. Where they cannot be had, it says what will be skipped; in CI it fails.
lab: $(VENV)/.dev
	$(BIN)/python tools/lab_setup.py

bench: $(VENV)/.runtime
	$(BIN)/koordnri bench

image:
	$(DOCKER) build --tag $(IMAGE) .

lock: $(VENV)/.dev
	VENV=$(VENV) tools/lock.sh $(LOCK_ARGS)

clean:
	rm -rf $(VENV) .cache build dist

# What runs needs less than what tests: `make demo` on a fresh clone need not wait for compilers and linters.
$(VENV)/.runtime: requirements.lock requirements-build.lock pyproject.toml
	tools/venv.sh $(VENV) requirements.lock requirements-build.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	tools/venv.sh $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.runtime
