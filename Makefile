# Everything from a bare clone with Python 3.11, make and git: `make repro` and `make test` set up by themselves.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# One thread a process: runs side by side would otherwise slow each other down. No tool reports usage.
export OMP_NUM_THREADS := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export NO_MKDOCS_2_WARNING := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup repro test test-fast lint docs lock ui clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; set PYTHON to a Python 3.11"; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

# Keeps going past a stage that fails; the tables are then made from the runs that are complete.
repro: setup
	dvc repro --keep-going || { acrl tables; acrl claims; acrl track; acrl status; exit 1; }

# Two processes: MuJoCo, MLflow and DVC are the real ones, and take their time.
test: setup
	pytest -n 2 --dist loadfile

test-fast: setup
	pytest -n 2 --dist loadfile -m "not slow" tests

lint: setup
	ruff check .
	ruff format --check .
	mypy

docs: setup
	mkdocs build --strict

ui: setup
	acrl ui

# The lock holds the CPU build of torch: pip must be able to find it (README, "Other machines").
lock: setup
	$(BIN)/pip install --quiet pip-tools
	pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra dev --no-header \
		--no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) site results/quick/runs results/quick/kept results/quick/flows results/quick/samples results/quick/timing results/quick/plan results/smoke
