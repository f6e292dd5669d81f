# Each verb sets up what it needs: a fresh machine with python3 (venv, pip) and make is enough.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test check slow lowest wheel clean

demo: .venv/installed
	$(BIN)/zslcache demo

test: .venv/installed
	$(BIN)/pytest -n auto

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The long tests that `make test` leaves out.
slow: .venv/installed
	$(BIN)/pytest -m "slow and not gpu"

# The same tests on the oldest versions that pyproject.toml admits.
lowest: .venv-lowest/installed
	.venv-lowest/bin/pytest -n auto

wheel: .venv/installed
	$(BIN)/python -m build

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv-lowest/installed: pyproject.toml constraints-lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-lowest build dist
