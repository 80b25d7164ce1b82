# Two commands on a fresh machine: `make demo` and `make test`. Everything lives in .venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-playground lint browser lock clean

demo: .venv/demo
	@$(BIN)/shifu demo

test: .venv/dev
	$(BIN)/python -m pytest -n 3 --dist worksteal

# Microsoft's Agents Playground as the Teams client. Needs npm and Chromium, else its tests are skipped.
PLAYGROUND := $(CURDIR)/.tools/playground

test-playground: .venv/dev
	@mkdir -p $(PLAYGROUND)
	@! command -v npm >/dev/null || npm install --silent --prefix $(PLAYGROUND) --no-save --no-package-lock \
		--ignore-scripts --no-audit --no-fund @microsoft/m365agentsplayground@0.2.28 @microsoft/app-manifest@1.1.2
	SHIFU_TEST_PLAYGROUND=$(PLAYGROUND) $(BIN)/python -m pytest tests/playground

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Installs from the committed locks: names, versions and hashes, nothing else.
.venv/demo: requirements.lock pyproject.toml | .venv/uv
	@echo "Installing (once; half a minute)…"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q adapters bot retrieval
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml | .venv/uv
	@echo "Installing (once; half a minute)…"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Shifu needs Python 3.11 or newer; name one with: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing; on Debian: sudo apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

lock: .venv/uv
	$(BIN)/uv pip compile --quiet --no-header --universal --generate-hashes --python-version 3.11 \
		--extra local --extra redis-server --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --no-header --universal --generate-hashes --python-version 3.11 \
		--extra local --extra redis-server --group build --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv .demo
