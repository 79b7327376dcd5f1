# Everything that this project needs is made by `make`; nothing is installed outside of this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IN ?= .
# dvc.yaml calls `segwheel`; the environment's programs come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Dozens of short programs run one after the other; each would compile its libraries again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env lock test demo ui tensorboard label-studio-env label-studio clean-demo

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ -/'

env: $(VENV)/.done  ## the Python environment, from requirements.lock

$(VENV)/.done: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --require-hashes requirements.lock --python $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv  # `sync` removed it
	$(BIN)/uv pip install --quiet --no-deps --editable . --python $(BIN)/python
	touch $@

LOCK := uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --python-version 3.11

lock: $(VENV)/.done  ## exact versions and hashes of everything, without addresses
	$(LOCK) pyproject.toml --group dev --output-file requirements.lock
	$(LOCK) requirements-label-studio.in --output-file requirements-label-studio.lock

test: env label-studio-env  ## style, types, directions of imports, and the whole test suite
	ruff check src tests benchmarks
	ruff format --check src tests benchmarks
	lint-imports
	mypy
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile  # a process a core; files share what is slow to make

demo: env  ## two iterations of both flywheels on generated data, in demo/
	bash docs/demo.sh

ui: env  ## the MLflow page on http://127.0.0.1:5000 (IN=demo: of the demo)
	cd $(IN) && MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
	mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000 --workers 1

tensorboard: env  ## curves and sample pictures on http://127.0.0.1:6006 (IN=demo: of the demo)
	cd $(IN) && tensorboard --logdir runs --host 127.0.0.1 --port 6006

label-studio-env: .venv-label-studio/.done  ## the environment of the labelling server

.venv-label-studio/.done: requirements-label-studio.lock | env
	test -x .venv-label-studio/bin/python || $(PYTHON) -m venv .venv-label-studio
	uv pip sync --quiet --require-hashes requirements-label-studio.lock --python .venv-label-studio/bin/python
	touch $@

label-studio: env label-studio-env  ## a labelling server on this machine; prints its address when it is ready
	segwheel labels server start
