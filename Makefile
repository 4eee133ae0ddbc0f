# One door to everything. Each target sets itself up; PYTHON picks the interpreter (3.10 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: demo test faults fuzz fleet lint bench setup lock clean
.DEFAULT_GOAL := demo

demo: $(READY)
	@$(BIN)/menshen demo $(ARGS)

# More workers than the two cores that it is meant for: panels wait more than they work.
test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

# Power cuts at every operation of the vault's flash, and thousands of random histories; at most 5 minutes.
faults: $(READY)
	@$(BIN)/python -m tests.faults $(ARGS)

# Every parser that faces the outside against 200,000 hostile inputs; at most 5 minutes.
fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz $(ARGS)

# One face is wiped from a thousand panels over a broker, some of them away or misbehaving; needs Debian's mosquitto.
fleet: $(READY)
	@$(BIN)/python -m tests.fleet $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m models.bench $(ARGS)

setup: $(READY)

$(READY): pyproject.toml host_tools/requirements.lock boards/virtual/micropython.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 10) <= sys.version_info[:2] <= (3, 13) else "Menshen needs Python 3.10 to 3.13; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r boards/virtual/micropython.txt
	$(BIN)/python -m pip install --quiet --no-deps -r host_tools/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# Rewrites the lock for all supported Pythons from the ranges in pyproject.toml.
lock:
	$(PYTHON) -m pip install --quiet uv
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.10 --extra demo --extra test \
		--no-emit-index-url --no-header --output-file host_tools/requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist .cache/demo
