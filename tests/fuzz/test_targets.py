"""The fuzzers' targets take every file of the corpora that they begin with."""

from __future__ import annotations

import importlib.util
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_the_target_of_the_container_takes_its_corpus() -> None:
    spec = importlib.util.spec_from_file_location(
        "container_target", Path(__file__).parent / "targets" / "container.py"
    )
    assert spec is not None
    assert spec.loader is not None
    target = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(target)
    files = [*(TESTS / "conformance").glob("must-*/*.cae"), TESTS / "golden" / "v2" / "small.cae"]
    assert len(files) > 90
    for path in files:
        target.try_one(path.read_bytes())
        target.try_one(path.read_bytes()[:-4])
