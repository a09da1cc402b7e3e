# Everything from a bare clone with Python and make: `make repro` and `make test` set up by themselves.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
# Where torch's CPU build is looked for if pip's own indexes lack it, as PyPI does.
export TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# One thread a process: runs side by side would otherwise slow each other down. No tool reports usage.
export OMP_NUM_THREADS := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export NO_MKDOCS_2_WARNING := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Containers often set it. Every process would then compile our packages anew, and there are hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup libraries repro test test-fast lint docs lock ui clean

setup: $(VENV)/.installed

$(VENV)/.installed: $(VENV)/.libraries pyproject.toml
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

# By themselves, so that an image of a container keeps them while only the code changes.
libraries: $(VENV)/.libraries

# Not made anew for other changes of pyproject.toml: the lock changes with its libraries.
$(VENV)/.libraries: requirements.lock install_libraries.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "error: $(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "error: $(PYTHON) cannot make environments; install its venv, such as python3.11-venv" >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV)
	@sh install_libraries.sh $(BIN)/python
	@touch $@

# `dvc repro` makes the same. Then the question of everybody: did it reproduce? Not asked where that was interrupted.
repro: setup
	@acrl repro; made=$$?; test $$made -gt 1 || acrl reproduced || made=1; exit $$made

# Two processes: MuJoCo, MLflow and DVC are the real ones, and take their time.
test: setup
	pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: setup
	pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests

lint: setup
	ruff check .
	ruff format --check .
	mypy
	lint-imports

docs: setup
	mkdocs build --strict

ui: setup
	acrl ui

# With torch's CPU build. Where pip's own indexes lack it: make lock PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
lock: setup
	$(BIN)/pip install --quiet pip-tools
	pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra dev --no-header \
		--no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml
	sed -i "1i # For $$(python --version | cut -d . -f 1,2) on $$(uname -sm); made by: make lock" requirements.lock

clean:
	rm -rf $(VENV) site results/quick results/smoke results/repro.log dvc.lock
