# A contributor's commands, in an environment of its own: .venv. `make` runs what must pass before a change lands.

check: test lint types

.venv: setup.cfg
	python3 -m venv .venv
	.venv/bin/pip install --quiet --editable ".[dev]"
	cd .venv/lib/python3*/site-packages && echo "$(CURDIR)/src" > lightspeed-src.pth # editors and type checkers read this
	touch .venv

test: .venv
	.venv/bin/pytest

long: .venv # the trials, sweeps and scale tests that take many seconds each
	.venv/bin/pytest -m long

floors: # the suite with the lowest versions that setup.cfg allows
	python3 -m venv build/floors
	sed -n 's/^ *\([a-z0-9-]*\)>=\([0-9.]*\).*/\1==\2/p' setup.cfg > build/floors/floors.txt
	build/floors/bin/pip install --quiet --constraint build/floors/floors.txt ".[test]"
	build/floors/bin/pytest

lint: .venv
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types: .venv
	.venv/bin/mypy
	.venv/bin/pyright --threads 2 --pythonpath .venv/bin/python

benchmarks: .venv
	.venv/bin/pip install --quiet --editable ".[bench]"
	.venv/bin/python benchmarks/run.py

.PHONY: check test long floors lint types benchmarks
