.DEFAULT_GOAL := help
.PHONY: help install study test check notebook bench bench-quality evidence evidence-one results clean

PYTHON ?= python3
BIN := .venv/bin

# The real data where a copy lies beside this checkout; otherwise it is fetched, or `auto` takes the stand-in.
ifndef FASHION_MNIST_DIR
ifneq ($(wildcard ../shared/fashion-mnist/.),)
export FASHION_MNIST_DIR := $(abspath ../shared/fashion-mnist)
endif
endif

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: .venv/installed ## set up .venv with everything that is needed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "latentfit needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench,dev,id]'
	@touch $@

study: .venv/installed ## run the study of Fashion-MNIST (or, without it, of the stand-in) into runs/
	$(BIN)/latentfit study auto

test: .venv/installed ## run the tests
	$(BIN)/python -m pytest

check: .venv/installed ## ruff, ruff format, mypy, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

notebook: .venv/installed ## execute Autoencoders.ipynb again, in place
	$(BIN)/python docs/execute_notebook.py

bench: .venv/installed ## ratios of speed with their goals, in turns (15 minutes)
	$(BIN)/python benchmarks/run.py

bench-quality: .venv/installed ## errors of every recipe over several seeds, and their time (hours)
	$(BIN)/python benchmarks/quality.py

evidence: .venv/installed ## studies whose answer is known; writes docs/verdict.md
	$(BIN)/python benchmarks/evidence.py

evidence-one: .venv/installed ## one of each kind, printed
	$(BIN)/python benchmarks/evidence.py --one

results: .venv/installed ## make the reference study again; fill README and docs/performance.md
	$(BIN)/latentfit study fashion-mnist --fresh --out runs/reference
	$(BIN)/python docs/fill_readme.py runs/reference
	$(BIN)/python docs/fill_performance.py

clean: ## remove .venv and what the tools cache; runs/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
