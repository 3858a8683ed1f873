"""What a batch says of its files, and what becomes of those that cannot be done."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from rich.cells import cell_len
from support import contents, photograph, run

from caecodec.command.terminal import ProgressLine, fitted

PIXELS = photograph(32, 48)


def test_two_inputs_with_one_output_fail_alone(picture_file: Path) -> None:
    folder = picture_file.parent
    for name in ("img.bmp", "other.png"):
        Image.fromarray(PIXELS).save(folder / name)
    result = run("encode", folder, "-r")
    assert result.code == 8
    target = folder / "img.cae"
    assert [line.partition("; ")[0] for line in result.error_lines] == [
        f"caecodec: error: {folder / 'img.bmp'}: {folder / 'img.png'} would be written to {target} as well",
        f"caecodec: error: {folder / 'img.png'}: {folder / 'img.bmp'} would be written to {target} as well",
        "caecodec: error: 2 of 3 inputs failed",
    ]
    assert set(contents(folder)) == {"img.png", "img.bmp", "other.png", "other.cae"}


def test_a_cae_file_to_encode_is_said_to_be_one(cae_file: Path) -> None:
    before = contents(cae_file.parent)
    assert "img.cae: this is a .cae file already; `caecodec decode`" in run("encode", cae_file).err
    renamed = cae_file.rename(cae_file.with_suffix(".png"))
    assert f"{renamed}: this is a .cae file already; `caecodec decode`" in run("encode", renamed).err
    assert list(contents(cae_file.parent).values()) == list(before.values())


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_folder_holds_beside_pictures_is_told_at_the_end(picture_file: Path, as_json: bool) -> None:
    folder = picture_file.parent
    for name in ("a.txt", "b.txt", "c.mp4"):
        (folder / name).write_bytes(b"")
    result = run("encode", folder, "-r", *(["--json"] if as_json else []))
    assert result.code == 0
    if as_json:
        assert json.loads(result.out.splitlines()[-1]) == {"skipped": {".txt": 2, ".mp4": 1}}
    else:
        assert result.error_lines == ["3 files skipped: .mp4 1, .txt 2"]
    assert run("encode", folder, "-r", "-f", "--quiet").err == ""


def test_json_has_a_record_of_inputs_that_failed(picture_file: Path) -> None:
    bad = picture_file.with_name("bad.png")
    bad.write_bytes(b"no picture")
    result = run("encode", bad, picture_file, "--json")
    failed, done = [json.loads(line) for line in result.out.splitlines()]
    assert failed.pop("error").startswith("not a picture in a format that is read here (PNG, ")
    assert failed == {"input": str(bad), "kind": "InputImageError"}
    assert done["input"] == str(picture_file)


def test_a_batch_on_a_terminal_counts_and_sums_up(picture_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("batch", "terminal"):
        monkeypatch.setattr(f"caecodec.command.{place}.on_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "300")
    shutil.copy(picture_file, picture_file.with_name("other.png"))
    result = run("encode", picture_file.parent, "-r", "-q", "30")
    lines = result.out.decode().splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["1 of 2", "2 of 2"]
    sizes = [picture_file.with_name(name).stat().st_size for name in ("img.cae", "other.cae")]
    before = 2 * picture_file.stat().st_size
    assert re.fullmatch(rf"2 files in [\d.]+ s: {before} bytes became {sum(sizes)}", result.error_lines[-1])
    decoded = run("decode", picture_file.parent, "-r", "--output-dir", picture_file.parent / "back")
    assert decoded.out.decode().startswith("1 of 2  ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parts = ["768x512", "q75", "35022 bytes", "0.712 bpp", "5.9 % of the input", "0.31 s"]
    for name in ("a.cae", "holiday/" + "long-name-" * 9 + "end.cae", "絵" * 40 + ".cae"):
        line = fitted("3 of 24  ", name, list(parts), Terminal())
        assert cell_len(line) <= 80
        assert line.startswith(f"3 of 24  {name[:5]}")
        assert "  q75  35022 bytes  " in line
        assert line.endswith("0.31 s")


def test_a_closed_standard_output_is_no_crash(picture_file: Path) -> None:
    command = f"{sys.executable} -m caecodec encode {picture_file} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert picture_file.with_suffix(".cae").exists()


def test_a_name_with_markup_or_a_newline_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "[").mkdir()
    for name in ("[/b].png", "a\nb.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    result = run("encode", tmp_path, "-r")
    assert result.code == 0
    assert len(result.out.decode().splitlines()) == 2
    assert "a\\nb.cae" in result.out.decode()
    assert {"[/b].cae", "a\nb.cae"} < set(contents(tmp_path))
    with ProgressLine("[/b]", enabled=True) as line:  # whose bar reads markup
        monkeypatch.setattr(line, "_enabled", True)
        monkeypatch.setattr("caecodec.command.terminal.DELAY_SECONDS", 0.0)
        line.update(0.5)
