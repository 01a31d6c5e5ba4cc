# Everything that a person types. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for a service most of the time: two processes take half as long, on one core, too.
PROCESSES ?= 2
# Words after the target's own, as in: make demo ARGS="--help"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test services check format bench lock clean dev

help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s%s\n", $$1, $$2}'

setup: ## Make .venv with the safelight command, from pinned versions (again: does nothing)
	@$(PYTHON) deployments/setup_environment.py

dev: ## The same, with what the tests and checks need
	@$(PYTHON) deployments/setup_environment.py --dev

demo: setup ## Run the whole pipeline on a demo hospital, in under three minutes
	@$(BIN)/safelight demo $(ARGS)

ui: setup ## Start a Prefect server with its UI, a worker and the demo hospital; Ctrl-C stops all
	@$(BIN)/python -m deployments.ui $(if $(PORT),--port $(PORT)) $(ARGS)

services: dev ## Install what the tests talk to: Orthanc, dcmtk, PostgreSQL, vsftpd, Azurite
	@$(BIN)/python -m deployments.install_test_services

test: services ## Run all tests against real services; ARGS="tests/link -x" runs some
	@$(BIN)/python -m pytest --numprocesses $(PROCESSES) --no-loadscope-reorder $(ARGS)

check: dev ## Lint, format, types, import rules, spelling, profiles and projects
	@$(BIN)/python -m deployments.check $(ARGS)

format: dev ## Put the code into its one format, and fix what can be fixed without thought
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

bench: dev ## Measure; prints a table and writes bench/results/
	@$(BIN)/python -m bench.run $(ARGS)

lock: dev ## Renew the pinned versions from pyproject.toml; ARGS=--upgrade takes newer ones
	@for groups in "requirements.txt --group app" "requirements-models.txt --group app --group models" \
			"requirements-dev.txt --group app --group dev"; do \
		$(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate \
			--custom-compile-command "make lock" $(ARGS) --output-file deployments/$$groups || exit 1; \
	done

clean: ## Remove everything that make made: .venv, .services, demo, caches
	@rm -rf $(VENV) .services demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis bench/results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
