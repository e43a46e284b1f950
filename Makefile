# `make` alone lists what there is. Every target makes the environment it needs first.

# The Python to build with, 3.11 to 3.13; empty: the one that .venv has, else the newest found.
PYTHON ?=
# Only `make VENV=…` moves it: `make clean` removes this folder, so the shell's environment must not name it.
VENV = .venv
bin = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long check bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' Makefile | while IFS='	' read -r name what; do \
		printf '  make %-10s %s\n' "$$name" "$$what"; done

setup: ## make .venv from constraints.txt; at once when nothing has changed
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh tools/setup.sh

# make itself hands a MUSIC=… of the command line on, whatever characters are in it.
demo: setup ## build, check and open a small archive; MUSIC=folder takes your own music
	"$(bin)/python" tools/demo/run.py

test: setup ## the quick tests
	"$(bin)/python" -m pytest -m "not long" -n auto --dist loadfile --durations 5

test-long: setup ## the long tests: kills, other people's programs, chaos
	"$(bin)/python" -m pytest -m long -n 2 --dist loadfile --durations 15

check: setup ## style, types, layers, and that the documents are true
	"$(bin)/ruff" check
	"$(bin)/ruff" format --check
	"$(bin)/mypy"
	"$(bin)/lint-imports"
	"$(bin)/python" -m pytest tests/docs

bench: setup ## run every benchmark
	@failed=; for file in benchmarks/*.py; do \
		[ -e "$$file" ] || { echo 'bench: there are no benchmarks yet'; break; }; \
		echo "== $$file"; "$(bin)/python" "$$file" || failed="$$failed $$file"; \
	done; [ -z "$$failed" ] || { echo "bench: failed:$$failed" >&2; exit 1; }

clean: ## remove .venv and what tools left behind; demo/ stays
	rm -rf "$(VENV)" .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
