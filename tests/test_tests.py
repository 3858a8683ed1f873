"""What every test owes, read from the source; and what a test process among several is given."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("test_*.py"))


def functions(source: str) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))


def can_fail(function: ast.FunctionDef, helpers: set[str]) -> bool:
    """Whether it asserts, expects an error or a warning, or calls one of the helpers that do."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("pytest.raises", "pytest.warns", "pytest.fail") or name.startswith("np.testing.assert_"):
                return True
            if isinstance(node.func, ast.Name) and node.func.id in helpers:
                return True
    return False


def without_assertion(source: str) -> list[str]:
    """Names of the test functions of a file that show nothing; a helper counts where it is of the same file."""
    candidates = [function for function in functions(source) if not function.name.startswith("test_")]
    helpers: set[str] = set()
    while found := {f.name for f in candidates if f.name not in helpers and can_fail(f, helpers)}:
        helpers |= found
    return [f.name for f in functions(source) if f.name.startswith("test_") and not can_fail(f, helpers)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_every_test_asserts_something(path: Path) -> None:
    assert without_assertion(path.read_text(encoding="utf-8")) == []


def test_a_test_that_only_runs_is_found() -> None:
    source = """
def check(value): assert value
def check_twice(value): check(value); check(value)
def show(value): print(value)
def test_asserts(): assert True
def test_raises():
    with pytest.raises(ValueError): int("x")
def test_asserts_by_a_helper(): check_twice(1)
def test_only_runs(): show(1); subprocess.run(["true"], check=True)
def test_is_empty(): pass
"""
    assert without_assertion(source) == ["test_only_runs", "test_is_empty"]


def test_a_test_process_among_several_has_one_thread_where_the_user_says_nothing() -> None:
    program = "import conftest, os, torch; print(torch.get_num_threads(), os.environ['OPENBLAS_NUM_THREADS'])"
    given = {"PYTEST_XDIST_WORKER": "gw0", "OPENBLAS_NUM_THREADS": "3", "PYTHONPATH": str(TESTS)}
    unset = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | given
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "3"], done.stderr
