# Each target sets up the environment in .venv by itself when it is missing or older than pyproject.toml.
# Python 3.12 is needed; another one than `python3` is chosen with `make PYTHON=python3.12 train`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

# Else every process compiles all that it imports again: 20 seconds each, and tests start many.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train quick test check clean

train: $(READY)
	$(BIN)/python train.py stage=teacher task=blind_rl $(ARGS)

# Three processes of one thread each: on two cores, as tests of whole commands wait for them. A module shares what it has
# set up, for example a simulator.
TESTS := -n 3 --no-loadscope-reorder
test quick: export OMP_NUM_THREADS := 1
quick: $(READY)
	$(BIN)/python -m pytest -m "not sim and not slow" $(TESTS)

test: $(READY)
	$(BIN)/python -m pytest $(TESTS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' \
		|| { echo "rlmpc needs Python 3.12, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12" >&2; exit 2; }
	@echo "setting up $(VENV): about 8 GB of packages, a few minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --editable ".[live,wandb,mlflow,sweep]" --group dev
	@touch $(READY)

clean:
	rm -rf $(VENV)
