# make demo: see it work. make check: what a change must pass. make test: its tests alone.
# make test-all: the long campaigns too.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo check lint test test-all clean
.DEFAULT_GOAL := test

.venv/run: pyproject.toml constraints.txt codec/__init__.py  # which holds the version
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/dev: .venv/run
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/run
	$(BIN)/python -m caecodec.bench.show.demo

test: .venv/dev
	$(BIN)/python -m pytest

# types are checked on what users get: the installed wheel
check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/check && mkdir -p build/check
	$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps -w build/check .
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --target build/check/site build/check/*.whl
	cd build/check && MYPYPATH=site ../../$(BIN)/python -m mypy --config-file ../../pyproject.toml --python-executable ../../$(BIN)/python -p caecodec
	$(BIN)/python -m pytest

clean:
	rm -rf .venv .demo build dist *.egg-info
