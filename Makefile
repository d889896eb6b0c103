# Latchkey: `make run` starts everything on this machine, `make test` proves it.
#   PORT=8001            the portal's port (make run)
#   PYTHON=/path/to/py   the CPython 3.11–3.14 to build the environment with
#   WHAT=name            the proof to run (make prove); none lists them
#   ARGS=…               further arguments for pytest (make test)
SHELL := /bin/sh
PORT ?= 8000
WHAT ?=
ARGS ?=
export PYTHON
# Where Python is told to keep no bytecode, every process that is started would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv/bin
# The first Python only has to find a supported one.
BOOTSTRAP := $(or $(PYTHON),python3) bootstrap.py
UNDER_SETTINGS := $(VENV)/python -m tests.environment

.PHONY: help run test prove check format lock

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6

run:
	@$(BOOTSTRAP) base embedded
	@exec $(VENV)/python -m portal.quickstart --port $(PORT)

test:
	@$(BOOTSTRAP) base embedded test
	$(VENV)/python -m pytest -n auto --dist loadscope $(ARGS)

prove:
	@$(BOOTSTRAP) base embedded test
	@exec $(VENV)/python -m bench $(WHAT)

check:
	@$(BOOTSTRAP) base embedded test
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(UNDER_SETTINGS) $(VENV)/mypy
	$(VENV)/lint-imports
	$(UNDER_SETTINGS) $(VENV)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

format:
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

# Needs uv; the locks hold hashes and name no registry.
LOCK := uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -q
lock:
	$(LOCK) pyproject.toml -o requirements/base.txt
	$(LOCK) --group embedded -c requirements/base.txt -o requirements/embedded.txt
	$(LOCK) --group test -c requirements/base.txt -c requirements/embedded.txt -o requirements/test.txt
	$(LOCK) --group schema -o requirements/schema.txt
	$(LOCK) --group sqlmap -o requirements/sqlmap.txt
