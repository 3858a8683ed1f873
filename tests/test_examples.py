"""Every program in examples/ does what it says."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import contents, opened, photograph, psnr

import caecodec
from caecodec.pictures.ssimulacra2 import score

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTO = Path(__file__).parent / "data" / "photo.png"


def start(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: Path) -> int:
    """A program as `python examples/NAME ARGUMENTS`; its exit status."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    try:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_each_program_is_listed_and_tested() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    listed = re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert programs == set(listed) == {"one_picture.py", "folder.py", "against_jpeg.py", "small_autoencoder.py"}


def test_one_picture_goes_there_and_back(
    picture_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, "one_picture.py", picture_file) == 0
    folder = picture_file.parent
    assert set(contents(folder)) == {"img.png", "img.cae", "img.decoded.png"}
    assert psnr(np.asarray(opened(folder / "img.decoded.png")), np.asarray(opened(picture_file))) > 25
    first, *parts = capsys.readouterr().out.splitlines()
    size_bytes = (folder / "img.cae").stat().st_size
    assert first.startswith(f"48x32, quality 75: {size_bytes} bytes, ")
    assert sum(int(line.split()[1]) for line in parts) == size_bytes


def test_a_folder_is_coded_in_its_structure_and_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "photos", tmp_path / "out"
    (source / "inner").mkdir(parents=True)
    (source / "b.jpg").write_bytes(b"no picture")
    for name in ("a.png", "inner/c.webp"):
        Image.fromarray(photograph(24, 40)).save(source / name)
    assert start(monkeypatch, "folder.py", source, target) == 1
    written = contents(target)
    assert set(written) == {"a.cae", "inner/c.cae"}
    assert all(caecodec.info(data).quality == 60 for data in written.values())
    said = capsys.readouterr()
    assert said.err.startswith(f"{source / 'b.jpg'}: ")
    total = sum(map(len, written.values()))
    assert said.out.splitlines()[-1].endswith(f" bytes became {total}; 1 failed")


def test_against_jpeg_compares_at_equal_quality_and_at_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = np.asarray(opened(PHOTO).convert("RGB"))[128:384, 128:384]
    Image.fromarray(original).save(tmp_path / "img.png")
    assert start(monkeypatch, "against_jpeg.py", tmp_path / "img.png") == 0
    ours, as_good, as_small = capsys.readouterr().out.splitlines()
    data = caecodec.encode(original, 60)
    shown = score(original, np.asarray(caecodec.decode(data)))
    assert ours == f"caecodec, quality 60: {len(data)} bytes, SSIMULACRA2 {shown:.1f}"
    good = re.fullmatch(r"JPEG that looks as good: quality \d+, (\d+) bytes \((.+) times\)", as_good)
    assert good is not None
    assert float(good[2]) == pytest.approx(int(good[1]) / len(data), abs=0.01)
    small = re.fullmatch(r"JPEG of no more bytes: quality \d+, (\d+) bytes, SSIMULACRA2 (.+)", as_small)
    assert small is not None
    assert int(small[1]) <= len(data)
    assert int(small[1]) < int(good[1])
    assert float(small[2]) < shown


def test_a_fresh_autoencoder_is_trained_and_measured_beside_jpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    for number in range(20):
        Image.fromarray(photograph(32, 40, seed=number)).save(folder / f"{number}.png")
    monkeypatch.setenv("CAECODEC_MODEL_PATH", "")
    assert start(monkeypatch, "small_autoencoder.py", folder, out, Path("0.02")) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.endswith(" dB") and " bytes " in line]
    assert [line.split()[0] for line in rows] == ["quality"] * 5 + ["JPEG"] * 5
    sizes = [float(re.findall(r"([\d.]+) bytes", line)[0]) for line in rows]
    assert sizes[5:] == sorted(sizes[5:])
    assert set(contents(out)) >= {"mine.safetensors", "mine.md", "codec/weights.pt", "drawn/weights.pt"}
