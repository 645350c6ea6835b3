# Commands for a clone: `make demo` and `make test`. `make help` lists all.

PYTHON ?= python3
BIN := .venv/bin

# The tests start hundreds of Pythons: they compile the modules once, not each anew.
unexport PYTHONDONTWRITEBYTECODE

# The processes that run tests: a number, or auto for one on each core.
WORKERS ?= auto

.PHONY: help demo check test coverage lint types docs catalogue bench bench-quick dist test-pythons tools bench-tools clean

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/ready  ## request a picture with fal's Python client, and save it as demo.jpg
	@$(BIN)/mock-fal run -- $(BIN)/python demo.py demo.jpg

check: lint types  ## lint, types, and the tests that need no program except Python
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not programs" --hypothesis-profile=quick

test: .venv/dev  ## all checks: lint, types, all tests with the real clients
	@$(MAKE) --no-print-directory --jobs=4 tools lint types
	$(BIN)/python -m pytest -n $(WORKERS)

# Tracing every process takes twice the time of the tests, so CI does without it.
coverage: tools  ## all tests, with branch coverage; fails below 95 %
	$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term:skip-covered

lint: .venv/dev  ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev  ## mypy, strict
	$(BIN)/mypy

docs: .venv/dev  ## rewrite the generated tables in docs/reference and node/control.d.ts, and build the site into build/site
	$(BIN)/python -m tests.generated_docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

catalogue: .venv/ready  ## rebuild mock_fal/models/catalogue.zip from fal's Platform API (FAL_KEY)
	$(BIN)/python -m mock_fal.commands.catalogue

# Each figure has a goal; the last line fails if one is missed.
bench: bench-tools  ## all figures of speed and memory, beside a bare app, aimock and nginx; writes docs/performance.md
	$(BIN)/python -m tests.bench --write

bench-quick: bench-tools  ## the most important figures, in a minute
	$(BIN)/python -m tests.bench --quick

DIST ?= dist
dist: .venv/dev  ## build wheel and sdist, install each in a fresh environment and use it there
	rm -rf $(DIST)
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir $(DIST)
	$(BIN)/python -m tests.dist $(DIST)/*.whl $(DIST)/*.tar.gz

test-pythons: .venv/dev  ## run the quick tests on each supported Python that this machine has
	@$(BIN)/python -m tests.pythons $(TESTS)

tools: .venv/dev .venv/official .venv/websockets .venv/fal-client .venv/clients tests/clients/node/node_modules/.package-lock.json tests/nextjs/app/node_modules/.package-lock.json  ## install the programs that `make test` needs
	@command -v curl >/dev/null || $(call apt,curl)
	@command -v jq >/dev/null || $(call apt,jq)
	@command -v ip >/dev/null || $(call apt,iproute2)
	@command -v strip >/dev/null || $(call apt,binutils)
	@$(namespaces) || [ -z "$$CI" ] || sudo sysctl --quiet --write kernel.apparmor_restrict_unprivileged_userns=0
	@$(namespaces) || echo "users may not make namespaces (see kernel.apparmor_restrict_unprivileged_userns): no tests of containers"
	@command -v chromium >/dev/null || ( $(call apt,chromium) ) || [ -z "$$CI" ]

bench-tools: .venv/dev tests/bench/node/node_modules/.package-lock.json  ## install the programs that `make bench` needs
	@command -v wrk >/dev/null || $(call apt,wrk)
	@command -v nginx >/dev/null || $(call apt,nginx-light)

clean:  ## remove everything that the other commands made
	rm -rf .venv build dist tests/clients/node/node_modules tests/bench/node/node_modules tests/nextjs/app/node_modules tests/nextjs/app/.next demo.jpg .pytest_cache .mypy_cache .ruff_cache .coverage*

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mock-fal needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V); try: make PYTHON=python3.13"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group demo
	@touch $@

.venv/dev: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev
	@touch $@

# The test suite of fal's own client, in the installed version. Its plugins are kept apart from ours.
.venv/official: .venv/dev
	rm -rf $@ $@.new
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary fal-client --dest $@.new \
	  "$$($(BIN)/python -m pip freeze --exclude-editable | grep -i '^fal.client==')"
	tar -xzf $@.new/*.tar.gz -C $@.new
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $@.new/site pytest-asyncio pytest-mock
	mv $@.new $@

# Older versions of websockets, which fal's client uses for realtime: until 14 it does not know proxies.
.venv/websockets: .venv/dev
	rm -rf $@ $@.new
	for version in 13 14 15; do $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps \
	  --target $@.new/$$version "websockets==$$version.*" || exit 1; done
	mv $@.new $@

# Older versions of fal's client: the first that still works, and one of the time between.
.venv/fal-client: .venv/dev
	rm -rf $@ $@.new
	for version in 0.4.1 0.7.0; do $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps \
	  --target $@.new/$$version "fal-client==$$version" || exit 1; done
	mv $@.new $@

# Programs that use fal, in Pythons of their own.
.venv/clients: .venv/dev tests/clients/python/current.txt tests/clients/python/older.txt
	rm -rf $@ $@.new
	for name in current older; do \
	  $(BIN)/uv venv --quiet --python $(BIN)/python $@.new/$$name && $(BIN)/uv pip install --quiet --no-deps \
	    --python $@.new/$$name/bin/python --requirement tests/clients/python/$$name.txt || exit 1; done
	mv $@.new $@
	@touch $@

# Of both folders together, so that Debian packages are installed once.
.npm:
	@command -v npm >/dev/null || $(call apt,nodejs npm)

%/node_modules/.package-lock.json: %/package-lock.json | .npm
	cd $* && npm ci --no-audit --no-fund
	@touch $@

# Whether a user may make network namespaces, which stand for containers. Ubuntu 24.04 forbids it by default.
namespaces = unshare --user --map-root-user --net --mount true 2>/dev/null

# Install Debian packages as root or with sudo; otherwise name what is missing.
apt = { s=; [ "$$(id -u)" = 0 ] || s=sudo; $$s apt-get update -qq && $$s apt-get install -y -qq $(1); } \
  || { echo "please install: $(1)"; exit 1; }
