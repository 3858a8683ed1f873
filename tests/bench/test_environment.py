from __future__ import annotations

import datetime
import json

import pytest

import caecodec
from caecodec.bench import environment


def test_it_says_what_numbers_may_depend_on() -> None:
    found = environment.environment()
    assert list(found) == ["cpu", "system", "python", "packages", "date", "commit"]
    assert found["cpu"]
    assert found["packages"]["caecodec"] == caecodec.__version__
    assert datetime.datetime.fromisoformat(found["date"]).tzinfo is not None
    assert json.loads(json.dumps(found)) == found


def test_a_package_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("caecodec", "no-such-package"))
    assert environment.environment()["packages"]["no-such-package"] == "missing"


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert environment.environment()["commit"] is None
