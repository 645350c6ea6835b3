# Two commands for a fresh clone: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint types bench tools clean help

help:  ## List the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: .venv/ready  ## Generate a picture with fal's own Python client, and save it as demo.jpg
	@$(BIN)/mock-fal run -- $(BIN)/python demo.py demo.jpg

test: tools lint types  ## Everything: lint, types, and all tests, with the real clients
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered

lint: .venv/dev  ## Form and habits
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev  ## mypy, strict
	$(BIN)/mypy

bench: .venv/dev  ## What it costs, as ratios to a bare Starlette + uvicorn
	$(BIN)/python -m tests.bench

tools: .venv/dev .venv/official tests/clients/node/node_modules/.package-lock.json  ## What the tests need beside Python
	@command -v curl >/dev/null || $(call apt,curl)
	@command -v jq >/dev/null || $(call apt,jq)
	@command -v chromium >/dev/null || ( $(call apt,chromium) ) || [ -z "$$CI" ]

clean:  ## Remove what was made
	rm -rf .venv tests/clients/node/node_modules demo.jpg .pytest_cache .mypy_cache .ruff_cache .coverage*

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mock-fal needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V); try: make PYTHON=python3.13"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group demo
	@touch $@

.venv/dev: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

# The tests that fal's own client comes with, of the version that is installed. Their plugins stay out of our own runs.
.venv/official: .venv/dev
	rm -rf $@ $@.new
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary fal-client --dest $@.new \
	  "$$($(BIN)/python -m pip freeze --exclude-editable | grep -i '^fal.client==')"
	tar -xzf $@.new/*.tar.gz -C $@.new
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@.new/site pytest-asyncio pytest-mock
	mv $@.new $@

tests/clients/node/node_modules/.package-lock.json: tests/clients/node/package-lock.json
	@command -v npm >/dev/null || $(call apt,nodejs npm)
	cd tests/clients/node && npm ci --no-audit --no-fund
	@touch $@

# Debian's packages, for whoever is root or may become it; others are told what is missing.
apt = { s=; [ "$$(id -u)" = 0 ] || s=sudo; $$s apt-get update -qq && $$s apt-get install -y -qq $(1); } \
  || { echo "please install: $(1)"; exit 1; }
