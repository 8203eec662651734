# `make demo` runs the main job; `make test` runs every check and test; `make bench` prints ratios.
SHELL := /bin/bash
PYTHON ?= python3
TARGET ?= local
VENV := .venv
BIN := $(VENV)/bin
UI := jupyter_extension/ui
# Node and npm of the environment: Debian's are too old for JupyterLab's builder.
IN_UI := cd $(UI) && PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: help demo test check check-ui ui unit bench chaos clean screenshots

help:
	@echo "make demo [TARGET=local|pbs|slurm] [CASE=cavity|openfoam|stirred-tank]"
	@echo "                                     run the cavity job, or a case, end to end, on this machine"
	@echo "make test                            set up what the tests need and run all of them"
	@echo "make bench                           print the benchmarks' ratios"
	@echo "make ui                              build JupyterLab's panel from its sources"
	@echo "make screenshots                     take the pictures of the panel in docs/screenshots"
	@echo "make chaos                           break everything once, and write docs/chaos.md"

# The stamp is newer than pyproject.toml when the environment is complete.
$(VENV)/.installed: pyproject.toml $(wildcard jupyter_extension/jupyter-config/*.json)
	@bash scripts/setup-debian.sh venv
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the gateway into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed testbed/package-lock.json
	@echo "Installing what the tests need into $(VENV) and testbed/node_modules …"
	@$(BIN)/python scripts/install_group.py test
	@$(BIN)/python scripts/install_group.py validators --no-deps
	@cd testbed && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(UI)/node_modules/.installed: $(VENV)/.installed-test $(UI)/package-lock.json
	@echo "Installing what the panel is built with into $(UI)/node_modules …"
	@$(IN_UI) npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# The types of the wire come from the gateway's own description of its API.
ui: $(UI)/node_modules/.installed
	$(BIN)/python -m gateway.api.openapi > $(UI)/openapi.json
	$(IN_UI) npm run --silent types
	$(IN_UI) npm run --silent build

demo:
	@bash scripts/setup-debian.sh venv demo $(if $(filter-out local,$(TARGET)),demo-cluster)
	@$(MAKE) --no-print-directory --silent $(VENV)/.installed
	@$(BIN)/python -m gateway.cli.demo --target $(TARGET) $(if $(CASE),--case $(CASE))

test:
	@bash scripts/setup-debian.sh venv test
	@$(MAKE) --no-print-directory --silent $(VENV)/.installed-test $(UI)/node_modules/.installed
	@$(MAKE) --no-print-directory check unit

check: check-ui
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/shellcheck job_templates/lib/*.sh job_templates/cases/*/inputs/*.sh gateway/compute/scripts/*.sh scripts/*.sh .ci/run

check-ui: $(UI)/node_modules/.installed
	$(IN_UI) npm run --silent check
	$(IN_UI) npm test --silent
	$(BIN)/python scripts/check_bundle.py

unit:
	$(BIN)/python -m pytest -n 4 --dist loadfile -q

bench:
	@bash scripts/setup-debian.sh venv test
	@$(MAKE) --no-print-directory --silent $(VENV)/.installed-test
	$(BIN)/python -m benchmarks

chaos:
	@bash scripts/setup-debian.sh venv test
	@$(MAKE) --no-print-directory --silent $(VENV)/.installed-test
	$(BIN)/python -m tests.chaos

# Of the real cavity case, whose image is built for it.
screenshots:
	@bash scripts/setup-debian.sh venv test
	@$(MAKE) --no-print-directory --silent $(VENV)/.installed-test
	SCREENSHOTS="$(CURDIR)/docs/screenshots" $(BIN)/python -m pytest -q tests/browser/test_screenshots.py

clean:
	rm -rf $(VENV) testbed/node_modules $(UI)/node_modules $(UI)/lib .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
