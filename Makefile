# make demo: see it work. make check: what a change must pass. make test: its tests alone.
# make test-all: the long campaigns too. make campaigns: attacks, whole. make wheels: what a release uploads. make web: the codec for browsers.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo check lint test test-all campaigns web wheels clean
.DEFAULT_GOAL := test

.venv/run: pyproject.toml setup.py constraints.txt codec/__init__.py $(wildcard codec/core/*.[chi]*)  # version, core
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/dev: .venv/run
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/run
	$(BIN)/python -m caecodec.bench.show.demo

check: lint test

# types are checked on what users get: the built wheel, unpacked
lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build && mkdir -p build/check
	$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps -w build/check .
	$(BIN)/python -m zipfile -e build/check/*.whl build/check/site
	cd build/check && MYPYPATH=site ../../$(BIN)/python -m mypy -p caecodec --config-file ../../pyproject.toml \
		--cache-dir ../../.mypy_cache --python-executable ../../$(BIN)/python

# one process a core; one that is done takes tests over from the others
PYTEST := $(BIN)/python -m pytest -n logical --dist worksteal

test: .venv/dev
	$(PYTEST) -m "not slow"

test-all: .venv/dev
	$(PYTEST)

# docs/security.md has what they found. COUNT=1000 for a share; CORPORA='--corpus FOLDER ...' adds pictures to C3
campaigns: .venv/dev
	$(BIN)/python tests/campaigns/run.py $(if $(COUNT),--count $(COUNT)) $(CORPORA)
	CAECODEC_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),3600) $(BIN)/python -m pytest -m slow tests/fuzz
	$(BIN)/python -m pytest -m "slow or not slow" tests/determinism

# web/dist: needs clang and lld
web:
	$(PYTHON) web/build.py

# a wheel for every platform of setup.py, by zig, and the pure one; each is compiled from scratch
TARGETS := linux-x86_64 linux-aarch64 musl-x86_64 musl-aarch64 macos-x86_64 macos-arm64 windows-x86_64 windows-arm64

wheels: .venv/dev
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt ziglang
	rm -rf build dist
	for target in $(TARGETS) any; do \
		CC="$(abspath $(BIN))/python -m ziglang cc" CAECODEC_TARGET=$$target \
			$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist . || exit 1; \
	done
	ls -l dist

clean:
	rm -rf .venv .demo build dist web/dist web/node_modules *.egg-info codec/engines/native/_core.*
