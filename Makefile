# `make demo` runs the main job; `make test` runs every check and test; `make bench` prints ratios.
SHELL := /bin/bash
PYTHON ?= python3
TARGET ?= local
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check unit bench chaos clean

help:
	@echo "make demo [TARGET=local|pbs|slurm] [CASE=cavity|openfoam|stirred-tank]"
	@echo "                                     run the cavity job, or a case, end to end, on this machine"
	@echo "make test                            set up what the tests need and run all of them"
	@echo "make bench                           print the benchmarks' ratios"
	@echo "make chaos                           break everything once, and write docs/chaos.md"

# The stamp is newer than pyproject.toml when the environment is complete.
$(VENV)/.installed: pyproject.toml
	@bash scripts/setup-debian.sh venv
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the gateway into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed testbed/package-lock.json
	@echo "Installing what the tests need into $(VENV) and testbed/node_modules …"
	@$(BIN)/python scripts/install_group.py test
	@cd testbed && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

demo:
	@bash scripts/setup-debian.sh venv demo $(if $(filter-out local,$(TARGET)),demo-cluster)
	@$(MAKE) --no-print-directory --silent $(VENV)/.installed
	@$(BIN)/python -m gateway.cli.demo --target $(TARGET) $(if $(CASE),--case $(CASE))

test:
	@bash scripts/setup-debian.sh venv test
	@$(MAKE) --no-print-directory --silent $(VENV)/.installed-test
	@$(MAKE) --no-print-directory check unit

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/shellcheck job_templates/lib/*.sh job_templates/cases/*/inputs/*.sh gateway/compute/scripts/*.sh scripts/*.sh .ci/run

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

clean:
	rm -rf $(VENV) testbed/node_modules .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
