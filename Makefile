# tradedeck. A machine needs python3 (3.11 or newer, with venv) and make; everything else goes into .venv/.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
SEEDS ?= 1000
SEED ?=
# Tests of processes wait more than they work: one worker more than two cores keeps both busy (docs/decisions/006).
WORKERS ?= 3

export PYTHON
.DEFAULT_GOAL := help
.PHONY: help setup full run check test simulate crash rig kill bench soak lock wheels format

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

setup: ## Make .venv/ from the lock; quick when nothing changed.
	@sh scripts/setup.sh

run: setup ## Open the workstation on the built-in market.
	@$(BIN)/tradedeck demo $(ARGS)

full: # What the tests need beyond the program: the research extra too.
	@sh scripts/setup.sh research

check: full ## Lint, format, types and import contracts: fast.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

test: check ## Everything CI runs, with the coverage gates.
	@$(BIN)/coverage erase
	@$(BIN)/python -m compileall -q core desk research scripts store tests tui venues # once, not in each process a test starts
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report= $(ARGS)
	@$(BIN)/python -m scripts.coverage_gates

simulate: setup ## Live SEEDS=1000 made-up lives of the engine, or SEED=17 alone; goes on where it stopped.
	@$(BIN)/python -m scripts.simulate $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(ARGS)

crash: setup ## Play the worst recorded days, with the guardian and without (ARGS=--write for the tables).
	@$(BIN)/python -m scripts.crash_days $(ARGS)

rig: setup ## Breach limits on real processes under faults; as root (ARGS=--write for the tables).
	@$(BIN)/python -m scripts.fault_rig $(ARGS)

kill: setup ## Kill engine, sentinel and both; goes on where it stopped (ARGS="--count 500 --write").
	@$(BIN)/python -m scripts.kill_loop $(ARGS)

bench: setup ## Run the benchmarks beside their references.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/bench.txt
	@$(BIN)/python -m bench $(ARGS)

soak: setup ## Watch a terminal's memory over eight market hours, in 24 minutes.
	@$(BIN)/python -m bench soak $(ARGS)

lock: ## Resolve locks/ again; ARGS=--upgrade takes newer versions.
	@$(PYTHON) -m scripts.lock $(ARGS)

wheels: ## Check that every locked package has wheels for x86_64 and aarch64.
	@$(PYTHON) -m scripts.check_wheels $(ARGS)

format: setup ## Put the code into its form.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
