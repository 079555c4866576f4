# Targets for people: demo, test, ui, check, bench. Needs Python 3.11 or newer, make, and the package registries.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test thorough ui check bench samples screenshots clean

demo: $(STAMP)  ## the main job on the bundled inbox
	$(BIN)/lnob demo

# Three workers share the processors: an engine with threads of its own for each would only get in their way.
test: $(STAMP)  ## all tests
	POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q

thorough: $(STAMP)  ## what takes longer: ten times the random examples, exhaustive tests
	POLARS_MAX_THREADS=1 LNOB_THOROUGH=10 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q

ui: $(STAMP)  ## the Dagster UI on this machine, history kept
	$(BIN)/lnob ui

check: $(STAMP)  ## format, lint, types, mappings, pages, messages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lnob lint
	$(BIN)/lnob docs --check
	$(BIN)/lnob messages

bench: $(STAMP)  ## benchmarks: ratios measured in one run
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.harmonisation
	$(BIN)/python -m benchmarks.incremental
	$(BIN)/python -m benchmarks.estimation
	$(BIN)/python -m benchmarks.readers --rows 10000 --rows 1000000
	$(BIN)/python -m benchmarks.validation --rows 1000000
	$(BIN)/python -m benchmarks.official
	$(BIN)/python -m benchmarks.release
	$(BIN)/python -m benchmarks.disclosure

samples: $(STAMP)  ## make the bundled synthetic submissions anew
	$(BIN)/python -m data.make_samples

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

screenshots: $(STAMP)  ## pictures of the Dagster UI for the README
	$(BIN)/python -m lnob_pipeline_tests.browser.screenshots

clean:  ## remove what the pipeline made; the environment stays
	rm -rf data/lake data/published .dagster
