# Two commands on a fresh machine: `make run` does the main job, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := gluonts pytorch_forecasting neuralforecast darts
BESIDE := sktime dagster

.PHONY: run test lint format types imports unit docs bench bench-variants bench-accuracy bench-classic bench-peers check-sktime check-dagster soak ui clean

run: $(STAMP)  ## forecast real daily prices: load, check, backtest, fit, forecast, track
	$(BIN)/tsrnn pipeline run pipelines/prices.yaml

test: lint types imports unit  ## everything CI runs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)  ## two processes of one thread each; what compares timings runs alone
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not speed"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m speed $$(grep -rlF pytest.mark.speed tests --include="test_*.py")

ui: $(STAMP)  ## MLflow on the local store
	$(BIN)/tsrnn ui

bench: $(STAMP)  ## the tables of docs/benchmarks.md; TSRNN_DATA names the folder of the public sets
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/random_walk.py --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/latency.py --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed.py --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/cells.py --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/state.py --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/parallel.py --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/serving.py --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/defaults.py --write docs/benchmarks.md

bench-variants: $(STAMP)  ## decoders and patches side by side; goes on where it was stopped
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/variants.py decoders --write docs/benchmarks.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/variants.py patches --write docs/benchmarks.md

bench-accuracy: $(STAMP)  ## public benchmarks beside published figures; hours, and goes on where it was stopped
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/accuracy.py --results accuracy.jsonl --write docs/benchmarks.md

bench-classic: $(STAMP)  ## what each cell remembers, on the classic tasks: an hour or two; goes on where it was cut
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/classic.py --results classic.jsonl --write docs/benchmarks.md --figure docs/images/memory.png

bench-peers: $(STAMP) $(PEERS:%=.peers/%/.installed)  ## the same sets with other libraries: hours; goes on where it was cut
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/peers.py --write docs/benchmarks.md

check-sktime: .beside/sktime/.installed  ## the adapter, by sktime's own check_estimator
	OMP_NUM_THREADS=1 .beside/sktime/bin/python -m pytest tests/beside/check_sktime.py

check-dagster: .beside/dagster/.installed  ## pipelines as Dagster's definitions
	OMP_NUM_THREADS=1 .beside/dagster/bin/python -m pytest tests/beside/check_dagster.py

soak: $(STAMP)  ## kill pipelines at every step and at random, 20 fresh stores, every kind of network: hours
	$(BIN)/python tests/soak/kills.py
	$(BIN)/python tests/soak/kills.py --random 100
	$(BIN)/python tests/soak/fresh.py --stores 20
	$(BIN)/python tests/soak/combinations.py

docs: $(STAMP)  ## the pages as a site, in site/
	$(BIN)/python -m pip install --quiet --editable ".[docs]" --constraint constraints.txt
	$(BIN)/zensical build

# torch comes first: a bare `torch` from a later requirement may pull gigabytes of another build.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $(STAMP)

.peers/%/.installed: benchmarks/peers/requirements-%.txt
	test -x .peers/$*/bin/python || $(PYTHON) -m venv .peers/$*
	.peers/$*/bin/python -m pip install --quiet torch==2.13.0
	.peers/$*/bin/python -m pip install --quiet --requirement $<
	touch $@

# Their pins of pandas and protobuf are not ours: environments of their own, without our constraints.
.beside/%/.installed: pyproject.toml
	test -x .beside/$*/bin/python || $(PYTHON) -m venv .beside/$*
	.beside/$*/bin/python -m pip install --quiet torch==2.13.0
	.beside/$*/bin/python -m pip install --quiet --editable ".[pipelines,$*]" pytest
	touch $@

clean:
	rm -rf $(VENV) $(PEERS:%=.peers/%) $(BESIDE:%=.beside/%) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
