# Holdfast. Everything runs from the project's own pinned packages: Python 3.11+, Node and make are all that a machine needs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
NODE_STAMP := local/node/node_modules/.installed
INSTALLED := $(VENV)/.installed
JOBS ?= 4
DEMO_MB ?= 300

# CDK on a Node past its end of life prints a banner of forty lines; the value is the major version.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 18,20
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help setup demo test contracts test-aws lint format schema synth layers bench bench-memory bench-tables lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(INSTALLED) $(NODE_STAMP) ## install the locked packages into .venv and local/node

$(INSTALLED): pyproject.toml locks/dev.txt locks/uv.txt locks/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Holdfast needs Python 3.11 or later; give one with make PYTHON=…"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r locks/build.txt -r locks/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_STAMP): local/node/package.json local/node/package-lock.json
	@command -v npm >/dev/null || { echo "Holdfast needs Node with npm on PATH."; exit 2; }
	cd local/node && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

demo: setup ## back up, prove, destroy, restore and prove again a real database, locally
	$(BIN)/python -m holdfast_local.demo --size-mb $(DEMO_MB)

test: setup ## run every test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --cov --cov-report=term:skip-covered

contracts: setup ## hold clients and twins against the vendors' OpenAPI documents: make contracts NEON=FILE VERCEL=FILE
	@test -f "$(NEON)" -a -f "$(VERCEL)" || { echo "Give both documents with make contracts NEON=FILE VERCEL=FILE; they are the vendors' own and not kept here."; exit 2; }
	NEON_OPENAPI="$(abspath $(NEON))" VERCEL_OPENAPI="$(abspath $(VERCEL))" $(BIN)/python -m pytest -n $(JOBS) tests/providers

test-aws: layers ## smoke test in a real AWS account (costs a little; see docs/proven-where.md)
	$(BIN)/python -m pytest -p no:randomly tests/aws/smoke.py

lint: setup ## ruff, mypy, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup ## let ruff format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: setup ## write the JSON Schemas of holdfast.toml and of the restore machine's input anew
	$(BIN)/python -m holdfast_infra.configuration_schema
	$(BIN)/python -m holdfast_infra.restore_input

layers: setup ## build the Lambda layers for Amazon Linux 2023, arm64 and x86_64
	$(BIN)/python -m holdfast_infra.layers --target al2023-arm64 --target al2023-x86_64

synth: layers ## synthesise the CloudFormation templates into cdk.out
	rm -rf cdk.out.fresh
	local/node/node_modules/.bin/cdk synth --quiet --output cdk.out.fresh
	rm -rf cdk.out
	mv cdk.out.fresh cdk.out

bench: setup ## compare with pg_dump and pg_restore in one run
	$(BIN)/python -m bench.archive

bench-memory: setup ## measure a worker's memory with narrow and with very long rows
	$(BIN)/python -m bench.memory

bench-tables: setup ## measure what 2,000 and 20,000 small tables cost, state by state
	$(BIN)/python -m bench.tables

lock: ## resolve all dependencies anew (needs uv in .venv)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o locks/dev.txt --quiet
	$(BIN)/uv pip compile pyproject.toml --constraint locks/dev.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o layers/dependencies/requirements.txt --quiet
	$(BIN)/uv pip compile layers/pgclient/requirements.in --no-deps --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o layers/pgclient/requirements.txt --quiet

clean: ## remove everything that setup, builds and runs made
	-test -x $(BIN)/holdfast && for state in .holdfast/local .holdfast/demo/local; do $(BIN)/holdfast local down --state $$state; done
	rm -rf $(VENV) build cdk.out cdk.out.fresh .holdfast local/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
