.DEFAULT_GOAL := help
.PHONY: help install study test test-processors check notebook bench bench-precision bench-quality evidence evidence-one fuzz results flagship network reliability mutants screenshots docs release-check bench-setup clean

PYTHON ?= python3
FUZZ_SECONDS ?= 60
PROCESSORS = AVX512_CORE_BF16 AVX512_CORE AVX2
BIN := .venv/bin
PIP = $(BIN)/python -m pip install --quiet --constraint constraints.txt

# The real data where a copy lies beside this checkout; otherwise it is fetched, or `auto` takes the stand-in.
ifndef FASHION_MNIST_DIR
ifneq ($(wildcard ../shared/fashion-mnist/.),)
export FASHION_MNIST_DIR := $(abspath ../shared/fashion-mnist)
endif
endif

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: .venv/study ## set up .venv with what a study needs; each other target adds what it needs

.venv/study: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "latentfit needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

.venv/%: .venv/study # an extra of pyproject.toml: only what is missing
	$(PIP) --editable '.[$*]'
	@touch $@

study: .venv/study ## run the study of Fashion-MNIST (or, without it, of the stand-in) into runs/
	$(BIN)/latentfit study auto

test: .venv/test ## run the tests, on up to four cores
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-processors: .venv/test ## the tests of precision and training, as on processors with fewer instructions
	@for isa in $(PROCESSORS); do \
		echo "ONEDNN_MAX_CPU_ISA=$$isa"; \
		ONEDNN_MAX_CPU_ISA=$$isa $(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 \
			tests/test_hardware.py tests/test_gradient.py tests/test_train.py tests/test_job.py tests/test_nested.py tests/test_run.py -k 'not crash and not kill' || exit 1; \
	done

check: .venv/check ## ruff, ruff format, mypy, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

notebook: .venv/notebook ## execute Autoencoders.ipynb again, in place
	$(BIN)/python tools/execute_notebook.py

bench: .venv/bench ## ratios of speed with their goals, in turns
	$(BIN)/python benchmarks/run.py

bench-precision: .venv/study ## what bf16 costs in error, ten seeds (long)
	$(BIN)/python benchmarks/precision.py

bench-quality: .venv/study ## errors of every recipe over several seeds, and their time (long)
	$(BIN)/python benchmarks/quality.py

bench-setup: ## minutes and megabytes of the set-ups of `make study` and `make test`; fill README
	$(PYTHON) benchmarks/install.py
	$(MAKE) .venv/study
	$(BIN)/python tools/fill_readme.py

evidence: .venv/id ## studies whose answer is known (long; it goes on where it was stopped); writes docs/verdict.md
	$(BIN)/python benchmarks/recipes.py
	$(BIN)/python benchmarks/evidence.py
	$(BIN)/python benchmarks/simulate.py
	$(BIN)/python tools/fill_verdict.py

evidence-one: .venv/id ## one of each kind, printed
	$(BIN)/python benchmarks/evidence.py --one

fuzz: .venv/fuzz ## damage files at each of the six doors, FUZZ_SECONDS (60) a door; what breaks one stays in .fuzz/
	@for door in idx arrays items tables pictures model; do \
		mkdir -p .fuzz/$$door; \
		$(BIN)/python fuzz/$$door.py -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=20 -dict=fuzz/words.dict \
			-print_final_stats=1 -artifact_prefix=.fuzz/$$door- .fuzz/$$door fuzz/corpus/$$door || exit 1; \
	done

results: .venv/study ## make the reference study again; fill README and docs/performance.md
	$(BIN)/latentfit study fashion-mnist --fresh --out runs/reference
	$(BIN)/python tools/fill_readme.py runs/reference
	$(BIN)/python tools/fill_performance.py

flagship: .venv/id ## ten sizes with five seeds each, until they are done (long; it goes on where it was stopped); fill README
	$(BIN)/latentfit study fashion-mnist --recipe converged --latent-dims 2 4 8 16 24 32 48 64 96 190 --seeds 5 --keep 0.9 --out runs/flagship
	$(BIN)/python tools/fill_readme.py runs/flagship

network: .venv/study ## train the convolutional autoencoder of docs/network.md on Fashion-MNIST; fill the page
	$(BIN)/python tools/fill_network.py --train

reliability: .venv/test ## the crash tests; writes docs/reliability.md
	$(BIN)/python tools/fill_reliability.py --crash

mutants: .venv/test ## take each safety line out and see a test fail
	$(BIN)/python tests/mutants.py

screenshots: .venv/test ## the reference report at three widths, light and dark, into runs/screenshots
	$(BIN)/python tools/screenshots.py runs/reference runs/screenshots

docs: .venv/docs ## the documentation as a site, built offline, into site/: open site/index.html
	$(BIN)/python -m sphinx -q -W --keep-going -d site/.trees docs site

release-check: .venv/release ## build the package; try it in empty environments with newest and oldest versions (long); PYTHONS=python3.11
	$(BIN)/python tools/release_check.py $(PYTHONS)

clean: ## remove .venv and what the tools cache; runs/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .fuzz .hypothesis site dist
