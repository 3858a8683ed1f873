from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from page_files import ENVIRONMENT, EVIL, data_of, rd_results, written

from caecodec.bench.page.build import build_page
from caecodec.bench.page.data import collect
from caecodec.bench.rd.results import save_rd
from caecodec.errors import FileSystemError, UsageError


def test_failures_and_missing_codecs_are_in_the_page_with_their_reasons(html: str, rd: Any) -> None:
    assert rd["failures"] == [["webp", "40", EVIL, f"OSError: {EVIL}"]]
    assert rd["unavailable"] == [["vvc", f"ImportError: {EVIL}"]]
    assert data_of(html)["speed"][0]["failures"] == [["heic-444", f"OSError: {EVIL}"]]
    assert ["failures", "1"] in data_of(html)["headline"]["facts"]


def test_headline_says_what_when_where_and_of_which_commit(html: str, rd: Any) -> None:
    facts = dict(data_of(html)["headline"]["facts"])
    assert facts["rate and distortion"] == "3 codecs on 3 pictures (rd)"
    assert (facts["date"], facts["machine"], facts["commit"]) == ("2026-01-02", ENVIRONMENT["cpu"], "abc1234")
    assert rd["tiles"][0]["value"] == "-50.0 %"


def test_an_environment_without_commit_leaves_a_dash(tmp_path: Path) -> None:
    old = rd_results()
    old.environment = {key: value for key, value in ENVIRONMENT.items() if key != "commit"}
    save_rd(old, tmp_path / "r.json")
    assert ["commit", "-"] in data_of(build_page(collect([tmp_path / "r.json"])))["headline"]["facts"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2, "kind": "other", "environment": {}}', '{"rows": [], "environment": 3}']
)
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"x\.json: not a results file"):
        collect([tmp_path / "x.json"])


@pytest.mark.parametrize("kind", ["rd", "speed", "growth"])
def test_a_file_that_lacks_what_its_kind_needs_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"format": 2, "kind": kind, "environment": {}}))
    with pytest.raises(UsageError, match=r"x\.json"):
        collect([tmp_path / "x.json"])


def test_a_missing_file_is_a_file_system_error(tmp_path: Path) -> None:
    with pytest.raises(FileSystemError, match=r"none\.json"):
        collect([tmp_path / "none.json"])


def test_every_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    good = written(tmp_path)
    (tmp_path / "words.json").write_text('{"format": 1, "kind": "words", "environment": {}}')
    with pytest.raises(UsageError, match="2 of 5 files cannot be used, leave them out: ") as told:
        collect([tmp_path / "words.json", *good, tmp_path / "none.json"])
    assert "words.json: not a results file" in str(told.value)
    assert "none.json: No such file" in str(told.value)
    assert not any(str(path) in str(told.value) for path in good)
