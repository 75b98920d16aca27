# `make demo` and `make test` each do all their own set-up into .venv; nothing but Python is needed.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
PYTEST = .venv/bin/python -m pytest
# One thread per worker: the workers share the cores among themselves.
PARALLEL = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1
LANE = $(PARALLEL) $(PYTEST) -n auto --benchmark-disable

.PHONY: demo test test-slow lint style contracts types bench setup setup-dev lock clean distclean

demo: setup
	@.venv/bin/commonmode demo

test: setup-dev
	@echo "Fast lane; the slow one is: make test-slow"
	@$(LANE) -m "not slow"

test-slow: setup-dev
	@$(LANE) -m slow

lint: style contracts types

style: setup-dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

contracts: setup-dev
	@.venv/bin/lint-imports --no-logo

types: setup-dev
	@.venv/bin/mypy

bench: setup-dev
	@$(PYTEST) benchmarks --benchmark-only

setup:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found; install one or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@"$(PYTHON)" scripts/bootstrap.py runtime

setup-dev:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found; install one or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@"$(PYTHON)" scripts/bootstrap.py dev

# Pins for every platform and Python >= 3.11, with hashes and without addresses. Pins stay where
# they are unless UPGRADE=1. Local package folders are left out: their hashes are nobody else's.
UV ?= $(or $(wildcard .venv/bin/uv),uv)
COMPILE = env -u UV_FIND_LINKS -u UV_INDEX -u UV_EXTRA_INDEX_URL $(UV) pip compile --quiet --universal \
	--python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --no-annotate $(if $(UPGRADE),--upgrade)
lock:
	$(COMPILE) --extra dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt pyproject.toml -o requirements/runtime.txt
	$(COMPILE) -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt

clean:
	rm -rf build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
