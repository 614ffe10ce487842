# make report · make test · make lab · make bench: each sets up what it needs, once.

PROFILE ?= demo
DATA ?=
LANG_ ?= both
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help report train test test-slow faults lab check clear-outputs bench lint lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo "variables:    PROFILE=demo|cpu|gpu  DATA=<your images>  LANG_=zh|en|both"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(f"Python {v[0]}.{v[1]} is too old: hw3 needs 3.11 or newer; make PYTHON=python3.12 …" if v < (3, 11) else 0)'
	@if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then \
	  echo "setting up $(VENV) with uv"; \
	  { [ -x $(BIN)/python ] || uv venv --quiet --seed --python $(PYTHON) $(VENV); } && \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	  echo "setting up $(VENV) with pip (several minutes the first time)"; \
	  { [ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); } && \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

report: $(READY)  ## the whole report into report/build: HTML, PDFs, results.json
	$(BIN)/hw3 report --profile "$(PROFILE)" --data "$(DATA)" --lang "$(LANG_)"

train: $(READY)  ## only the Runs that the profile's notebooks need
	$(BIN)/hw3 train --profile "$(PROFILE)" --data "$(DATA)"

test: $(READY)  ## the fast tests (at most 3 minutes on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-slow: $(READY)  ## the slow tests too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "not gpu"

faults: $(READY)  ## break things on purpose and say what was promised and seen
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --fault-table -m "faults and not gpu"

lab: $(READY)  ## JupyterLab on the notebooks
	$(BIN)/hw3 lab --data "$(DATA)"

check: $(READY)  ## are the notebooks fit to be committed?
	$(BIN)/hw3 check notebooks/*.ipynb

clear-outputs: $(READY)  ## remove what running the notebooks left in them, then check
	$(BIN)/hw3 check --clear notebooks/*.ipynb

bench: $(READY)  ## speed, side by side in one run
	$(BIN)/python -m benchmarks.bench --data "$(DATA)"

lint: $(READY)  ## ruff
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

lock: pyproject.toml  ## renew requirements.lock (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:  ## delete what a build leaves (Runs and caches stay)
	rm -rf report/build
