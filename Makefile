# A contributor's commands, in an environment of its own: .venv. `make` runs what must pass before a change lands.

check: test lint types

.venv: setup.cfg
	python3 -m venv .venv
	.venv/bin/pip install --quiet --config-settings editable_mode=strict --editable ".[dev]" # strict: editors and type checkers see it
	touch .venv

test: .venv
	.venv/bin/pytest

long: .venv # the trials, sweeps and scale tests that take many seconds each
	.venv/bin/pytest -m long

lint: .venv
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types: .venv
	.venv/bin/mypy
	.venv/bin/pyright --pythonpath .venv/bin/python

benchmarks: .venv
	.venv/bin/pip install --quiet --editable ".[bench]"
	.venv/bin/python benchmarks/run.py

.PHONY: check test long lint types benchmarks
