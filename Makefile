SHELL := /bin/bash
PYTHONS := python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3
IS_RECENT := import sys; sys.exit(sys.version_info < (3, 10))
PYTHON ?= $(shell for p in $(PYTHONS); do $$p -c '$(IS_RECENT)' 2>/dev/null && echo $$p && break; done)
ifeq ($(PYTHON),)
$(error Python 3.10 or later is needed: install it, or name it with PYTHON=...)
endif
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help print-python venv servers unit test soak bench lint types contracts docs demo demo-down eval-assistant constraints reference readme-pt dist clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

print-python:
	@echo $(PYTHON)

venv: .venv/installed  ## create .venv and install the project with exact versions

.venv/installed: setup.cfg pyproject.toml constraints.txt sandbox/install.py
	$(PYTHON) -m sandbox.install venv

servers:  ## install RabbitMQ, PostgreSQL and Chromium if they are missing and we may
	@$(PYTHON) -m sandbox.install servers

unit: venv  ## run the tests that need no server
	$(PYTEST) tests/unit $(ARGS)

test: venv servers  ## run every test (WORKERS=1: one after the other)
	@$(BIN)/python -m sandbox.supervise $(PYTEST) -n $(WORKERS) $(ARGS)

soak: venv servers  ## run the model test for MINUTES=20 (SEED=… of a former report)
	@$(BIN)/python -m sandbox.supervise $(PYTEST) tests/model -p no:randomly \
		--model-minutes $(or $(MINUTES),20) $(if $(SEED),--model-seed $(SEED)) $(ARGS)

lint: venv  ## check style and format
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: venv  ## check types
	$(BIN)/mypy

contracts: venv  ## check who imports whom
	$(BIN)/lint-imports

docs: venv  ## build the documentation into site/, warnings as errors
	$(BIN)/python -m mkdocs build --strict

bench: venv servers  ## compare with other tools: all of it small, NAME="…" at full size (ROUNDS=5, SCALE=…)
	@$(BIN)/python -m sandbox.supervise $(BIN)/python -m benchmarks $(NAME) --rounds $(or $(ROUNDS),5) \
		$(if $(SCALE),--scale $(SCALE))

demo: venv  ## copy and follow a live shop database through Airflow (DEMO_ONCE=1: check, then end)
	@$(BIN)/python -m sandbox.demo

demo-down:  ## remove everything the demo started
	@$(PYTHON) -m sandbox.demo.down

eval-assistant: venv  ## score the assistant (CONN_ID=…: the model of an Airflow connection, VERBOSE=1: what differs)
	@$(BIN)/python -m benchmarks.assistant $(if $(CONN_ID),--conn-id $(CONN_ID)) $(if $(VERBOSE),--verbose)

constraints: venv  ## write constraints.txt anew after a change of dependencies
	$(BIN)/uv pip compile setup.cfg $(patsubst %,--extra %,test ai docs messaging openlineage) --universal \
		--python-version 3.10 -q --no-header --no-annotate --no-emit-index-url -o constraints.txt

reference: venv  ## write the settings reference into the README
	$(BIN)/python -m sandbox.reference

readme-pt: venv  ## record that README.pt-BR.md says the same as README.md, and tell what has changed
	@$(BIN)/python -m sandbox.readme_pt

dist: venv  ## build the wheel and the source archive into dist/
	$(BIN)/uv build -q --out-dir dist

clean:  ## delete what builds and checks leave; .venv stays
	rm -rf build dist site *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
