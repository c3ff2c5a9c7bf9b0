# The commands one needs. `make` alone lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run shop test test-fast test-browser test-cluster test-faults connectors compiled lint types bench clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Two steps: what builds source packages first, pinned too, so that nothing unpinned is fetched while building.
$(VENV)/.ready: requirements/build.txt requirements/test.txt pyproject.toml
	@echo "setting up $(VENV) (pinned packages, about a minute and 1.5 GB)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Segmill needs Python 3.11: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/build.txt
	@$(PIP) install --require-hashes --no-build-isolation -r requirements/test.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

run: $(VENV)/.ready ## run the main job on the Online Retail data set
	@$(BIN)/segmill run --out out

shop: $(VENV)/.ready ## an example shop with all that is behind it, until Ctrl-C
	@$(BIN)/python -m examples.shop.demo

test: $(VENV)/.ready lint types ## lint, types and all tests but those of test-browser and test-cluster
	@failed=0; $(BIN)/pytest -n 2 --dist loadfile || failed=1; \
	$(BIN)/pytest -n 2 --dist loadfile -m "slow and not cluster and not browser" || failed=1; exit $$failed

test-fast: $(VENV)/.ready ## the tests that start no Flink job, two at a time
	@$(BIN)/pytest -n 2 --dist loadfile

test-browser: $(VENV)/.ready ## the example shop, and a stream, in headless Chromium; needs chromium and chromedriver
	@$(BIN)/pytest -v -m "browser and not cluster" --durations=5 tests/shop tests/serving

test-cluster: $(VENV)/.ready connectors ## the tests with a real Kafka, Flink cluster and Redis; needs Maven and Chromium
	@$(BIN)/pytest -v -n 2 --dist loadfile -m cluster --durations=12 tests/cluster

test-faults: $(VENV)/.ready connectors ## servers killed during a replay of 500,000 events, about 10 minutes
	@SEGMILL_FAULT_EVENTS=500000 $(BIN)/pytest -s -m cluster tests/cluster/test_faults.py tests/cluster/test_broker_away.py

# Jars from Maven, into folders that are whole or not there.
connectors: build/connectors/.ready build/kafka/.ready ## fetch the Kafka connector and broker (45 MB, needs Maven)

build/connectors/.ready: flink-conf/connector.pom.xml
build/kafka/.ready: flink-conf/broker.pom.xml
build/%/.ready:
	@command -v mvn >/dev/null || { echo "no mvn on the PATH: install Maven 3.8 or newer (Debian: apt install maven)"; exit 1; }
	@echo "fetching what $< names into build/$*"
	@rm -rf build/$* build/$*.part && mkdir -p build/$*.part
	@mvn -B -q --strict-checksums -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/build/$*.part
	@touch build/$*.part/.ready && mv build/$*.part build/$*

compiled: $(VENV)/.ready ## compile the core, for live jobs to bring along; needs a C compiler
	@$(BIN)/python -m jobs.compile_core

lint: $(VENV)/.ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.ready
	@$(BIN)/mypy

.bench-venv/.ready: requirements/bench.txt
	@$(PYTHON) -m venv .bench-venv
	@.bench-venv/bin/pip --disable-pip-version-check --quiet install --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(VENV)/.ready .bench-venv/.ready ## all speed measurements, about 20 minutes; see benchmarks/README.md
	@$(BIN)/python -m benchmarks.core --events 200000 --repeat 3
	@$(BIN)/python -m benchmarks.embedded --events 500000 --repeat 3
	@$(BIN)/python -m benchmarks.layers --events 150000 --repeat 3
	@$(BIN)/python -m benchmarks.bytewax_peer --events 200000 --repeat 3
	@$(BIN)/python -m benchmarks.readme

clean: ## remove what the other commands made
	rm -rf $(VENV) .bench-venv out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
