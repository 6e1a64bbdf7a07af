# make demo       set-up, then the main job on example pods; ends by itself
# make test       what to run before a commit, 10 minutes at most: lint, unit tests, and as root on Debian a real containerd
# make test-full  the tests that `make test` leaves out: containerd 1.7 and 2.4, CRI-O, churn, the image, the chart, the page in a browser,
#                 a real API server, a virtual machine with cgroup v2 and systemd, and the property tests once more with more examples. CI runs both.
# make unit       the tests that need no runtime          make lint   style, types, layers, generated code, documents
# make bench      latency, CPU and memory of the daemon   make image  container image, by docker, podman or buildah (tools/image.sh)
# make fuzz       ten minutes (FUZZ_SECONDS=600) of coverage-guided search for inputs that break a parser: tests/fuzz
# make soak       half an hour (SOAK_SECONDS=1800) of a busy node; fails if memory, descriptors, threads or latency of the daemon grow
# make audit    licences of what runs in the daemon, and what an advisory database knows of these versions (exit code 2: not reached)
# make coverage   which lines and branches the unit tests reach; fails below the floor in pyproject.toml
# make lock       lock files again from pyproject.toml     make clean  remove .venv and .cache

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
IMAGE ?= koordnri:0.1.0
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 600
SOAK_SECONDS ?= 1800
# Processes that run tests side by side: one per CPU (see tests/conftest.py).
WORKERS ?= logical
# Seconds after which a test fails; a longer one says so itself (pytest.mark.timeout).
PYTEST_TIMEOUT ?= 120

# Where typing errors are looked for.
WORDS := koordnri hooks tests tools docs examples deploy helm Makefile $(wildcard *.md)

export PYTHON PYTEST_TIMEOUT

PYTEST := $(BIN)/python -m pytest
PARALLEL := -n $(WORKERS) --no-loadscope-reorder

# First, so that a bare `make` explains itself instead of starting something.
help:
	@sed -n 's/^# \{0,1\}//;/^$$/q;p' Makefile

.PHONY: help demo test test-full lint unit fuzz soak audit coverage lab lab-host bench image lock clean

demo: $(VENV)/.runtime
	$(BIN)/koordnri simulate -f examples/pods.yaml --policy examples/policy.yaml --node examples/node.yaml

test: $(VENV)/.dev lab-host lint
	$(PYTEST) $(PARALLEL) -m "not full" $(PYTEST_ARGS)

test-full: $(VENV)/.dev lab
	HYPOTHESIS_PROFILE=long $(PYTEST) $(PARALLEL) -m "full or hypothesis" $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/python tools/check_functions.py
	$(BIN)/python tools/check_tests.py
	$(BIN)/python tools/audit.py --licences >/dev/null
	$(BIN)/python tools/rooms.py --check
	$(BIN)/python tools/policy_page.py --check
	$(BIN)/python tools/metrics.py --check
	$(BIN)/python tools/versions_table.py --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_vocabulary.py
	$(BIN)/python tools/generate_protos.py --check
	$(BIN)/codespell $(WORDS)
	$(BIN)/python tools/check_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

unit: $(VENV)/.dev
	$(PYTEST) $(PARALLEL) -m "not full and not e2e" $(PYTEST_ARGS)

fuzz: $(VENV)/.fuzz
	$(BIN)/python tools/fuzz.py --seconds $(FUZZ_SECONDS)

soak: $(VENV)/.dev
	$(BIN)/python tools/soak.py --seconds $(SOAK_SECONDS)

audit: $(VENV)/.audit
	$(BIN)/python tools/audit.py

# Lines and branches. It adds 70 % to the CPU time of the unit tests, so that `make test` does without; CI's `make test` measures it.
coverage: $(VENV)/.dev
	$(PYTEST) $(PARALLEL) -m "not full and not e2e" --cov --cov-report=term $(PYTEST_ARGS)

# What the tests need of real programs. Where something cannot be had, it says what will be skipped; in CI it fails.
lab: $(VENV)/.dev
	$(BIN)/python tools/lab_setup.py

# Of it, the containerds: half a minute, where an API server, helm and a virtual machine take six.
lab-host: $(VENV)/.dev
	$(BIN)/python tools/lab_setup.py --only host

bench: $(VENV)/.runtime
	$(BIN)/koordnri bench

image:
	tools/image.sh $(IMAGE)

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

# Not part of .dev: 130 MB that the tests need not have, and only for Linux on x86-64.
$(VENV)/.fuzz: $(VENV)/.dev requirements-fuzz.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-fuzz.lock
	@touch $@

# Not part of .dev either: pip-audit and the 15 packages that it brings.
$(VENV)/.audit: $(VENV)/.dev requirements-audit.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-audit.lock
	@touch $@
