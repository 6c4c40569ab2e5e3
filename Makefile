# Every target does its own set-up: a virtual environment with pinned, hashed dependencies, rebuilt when a lock changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo run test lint bench soak audit lock clean

demo: .venv/ready
	@$(BIN)/python -m starter demo

run: .venv/ready
	@$(BIN)/python -m starter run

test: lint
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -n 4  # much of it is waiting

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready
	$(BIN)/python -m bench

# Random faults for MINUTES, then an audit: make soak MINUTES=30
soak: .venv/ready
	$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),30)

.venv/ready: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Relink needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@echo "Installing the pinned dependencies into .venv (once; about 30 seconds)..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Known vulnerabilities in what is locked. Fails if there are any; if nobody can be asked, it says so (exit code 75).
audit: .venv/audit/ready
	@.ci/audit

.venv/audit/ready: requirements-audit.lock
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-audit.lock
	@touch $@

# Renews the locks; needs uv. No index address is written into them.
lock:
	uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --extra local --extra dev -c requirements.lock --universal --generate-hashes --no-emit-index-url --no-header -q -o requirements-dev.lock
	echo 'pip-audit>=2.10' | uv pip compile - --universal --generate-hashes --no-emit-index-url --no-header -q -o requirements-audit.lock

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
