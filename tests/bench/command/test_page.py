from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from page_files import data_of, text_of, written
from PIL import Image
from support import photograph, run

from caecodec.bench.command.bench import bench
from caecodec.errors import UsageError


def test_command_writes_the_page_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    Image.fromarray(photograph(32, 48)).save(tmp_path / "one.png")
    paths = [str(path) for path in written(tmp_path)]
    options = [
        "--pictures",
        str(tmp_path / "one.png"),
        "--view",
        "one",
        "--view-codecs",
        "jpeg,webp",
        "--view-bpp",
        "2",
    ]
    done = CliRunner().invoke(bench, ["report", *paths, "-o", str(target), *options])
    assert done.exit_code == 0, done.output
    assert str(target) in done.output
    data = data_of(target.read_text(encoding="utf-8"))
    assert [view["codec"] for view in data["view"]] == ["jpeg", "webp"]
    assert data["bits"] == []
    assert [text_of(row[0]) for row in data["rd"][0]["anchors"][0]["tables"]["psnr"]["rows"]] == ["caecodec", "webp"]


def test_command_refuses_a_view_without_pictures(tmp_path: Path) -> None:
    done = CliRunner().invoke(bench, ["report", *map(str, written(tmp_path)), "--view", "a"])
    assert isinstance(done.exception, UsageError)
    assert "--pictures" in str(done.exception)


def test_command_names_files_it_cannot_use_before_it_codes_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(photograph(32, 48)).save(tmp_path / "one.png")
    (tmp_path / "words.json").write_text('{"format": 1, "kind": "words", "environment": {}}')
    coded: list[object] = []
    monkeypatch.setattr("caecodec.bench.page.view.make_views", lambda *arguments: coded.append(arguments))
    target = tmp_path / "report.html"
    done = run(
        "bench", "report", *written(tmp_path), tmp_path / "words.json", "--pictures", tmp_path / "one.png", "-o", target
    )
    assert done.code == 2
    assert len(done.error_lines) == 1
    assert "words.json: not a results file" in done.err
    assert coded == []
    assert not target.exists()
