from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Result, photograph, run

import caecodec
from caecodec.bench.compare.compare import compare_files, read_file
from caecodec.errors import UsageError
from caecodec.limits import Limits


def compared(*arguments: str | Path) -> Result:
    return run("compare", *arguments)


def objects(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.out.decode().splitlines()]


def test_help_lists_compare_without_importing_it() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from caecodec.command.main import caecodec;"
        "print(CliRunner().invoke(caecodec, ['--help']).output);"
        "print(sorted({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "  compare " in output
    assert output.strip().endswith("[]")


def test_figures_of_a_made_pair_are_exact(pair: tuple[Path, Path]) -> None:
    original, other = pair
    (row,) = objects(compared(original, other, "--json"))
    size = other.stat().st_size
    assert row.pop("ssim") == pytest.approx(0.99, abs=0.01) if row.get("ssim") else True
    assert row == {
        "original": str(original),
        "file": str(other),
        "width": 48,
        "height": 32,
        "bytes": size,
        "bpp": 8 * size / (48 * 32),
        "compression_rate": 1 - size / (48 * 32 * 3),
        "mse": 1 / 3,
        "psnr": pytest.approx(20 * np.log10(255) + 10 * np.log10(3)),
        "ms_ssim": None,  # too small for its five scales
        "ssimulacra2": None,
        "notes": [],
    }


def test_the_table_says_what_the_json_says(pair: tuple[Path, Path]) -> None:
    original, other = pair
    result = compared(original, other)
    first, _, head, cells = result.out.decode().splitlines()
    assert first.startswith(f"{original}: 48x32, {original.stat().st_size:,} bytes, ")
    assert head.split() == ["file", "bytes", "bpp", "saved", "PSNR", "MS-SSIM", "SSIM"]
    size = other.stat().st_size
    expected = [str(other), f"{size:,}", f"{size / 192:.3f}", f"{1 - size / 4608:.2%}", "52.90", "dB", "-"]
    assert cells.split()[:7] == expected
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("kind", ["cae", "jpg", "webp", "avif", "tif"])
def test_bytes_are_those_on_disk_and_pixels_those_the_file_decodes_to(kind: str, tmp_path: Path) -> None:
    pixels = photograph(176, 184)
    original, other = tmp_path / "o.png", tmp_path / f"other.{kind}"
    Image.fromarray(pixels).save(original)
    if kind == "cae":
        other.write_bytes(caecodec.encode(pixels, 40))
        back = caecodec.open_image(other)
    else:
        Image.fromarray(pixels).save(other)
        back = Image.open(other)
    error = np.mean((pixels.astype(float) - np.asarray(back.convert("RGB"))) ** 2)
    back.close()
    (row,) = objects(compared(original, other, "--json"))
    assert row["bytes"] == other.stat().st_size
    assert row["mse"] == pytest.approx(error, rel=1e-12)
    assert (row["psnr"] is None) == (error == 0)


@pytest.mark.parametrize(("kind", "package"), [("jxl", "pillow_jxl"), ("heic", "pillow_heif")])
def test_formats_of_plugins_are_read_or_named(kind: str, package: str, tmp_path: Path, picture_file: Path) -> None:
    plugin = pytest.importorskip(package)
    if package == "pillow_heif":
        plugin.register_heif_opener()
    other = tmp_path / f"other.{kind}"
    Image.open(picture_file).save(other, quality=90)
    (row,) = objects(compared(picture_file, other, "--json"))
    assert row["bytes"] == other.stat().st_size
    assert isinstance(row["psnr"], float)
    assert row["psnr"] > 30


def test_a_missing_plugin_is_named(tmp_path: Path, picture_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.jxl"
    other.write_bytes(b"\xff\x0a and more")
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    result = compared(picture_file, other)
    assert result.code == 2
    assert result.error_lines == [
        f"caecodec: error: {other}: reading JPEG XL needs a plugin of Pillow that does not load here: "
        "pip install caecodec[bench]"
    ]


def test_metrics_whose_package_is_missing_leave_a_dash_and_a_note(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    result = compared(*pair)
    assert result.code == 0
    assert result.out.decode().splitlines()[-1].split()[-4:] == ["52.90", "dB", "-", "-"]
    assert len(result.error_lines) == 1
    assert "pip install caecodec[bench]" in result.err
    (row,) = objects(compared(*pair, "--json"))
    assert row["ssim"] is None


def test_all_metrics_are_measured_where_the_picture_is_large_enough(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_msssim")
    pixels = photograph(170, 180)
    original, other = tmp_path / "o.png", tmp_path / "o.jpg"
    Image.fromarray(pixels).save(original)
    Image.fromarray(pixels).save(other, quality=80)
    (row,) = objects(compared(original, other, "--json", "--ssimulacra2"))
    assert 0.8 < float(str(row["ms_ssim"])) < 1
    assert 0.5 < float(str(row["ssim"])) < 1
    assert 20 < float(str(row["ssimulacra2"])) < 100
    head, cells = compared(original, other, "--ssimulacra2").out.decode().splitlines()[-2:]
    assert head.split()[-3:] == ["MS-SSIM", "SSIM", "SSIMULACRA2"]
    expected = [f"{row['ms_ssim']:.4f}", f"{row['ssim']:.4f}", f"{row['ssimulacra2']:.2f}"]
    assert cells.split()[-3:] == expected


def test_the_same_picture_in_another_format_has_no_psnr(pair: tuple[Path, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.bmp"
    Image.open(pair[0]).save(copy)
    (row,) = objects(compared(pair[0], copy, "--json"))
    assert (row["mse"], row["psnr"]) == (0, None)
    assert "no pixel differs" in compared(pair[0], copy).out.decode()


def test_files_that_fail_are_reported_and_the_others_shown(pair: tuple[Path, Path], tmp_path: Path) -> None:
    original, other = pair
    turned, broken, missing = tmp_path / "turned.png", tmp_path / "broken.cae", tmp_path / "missing.png"
    Image.open(other).transpose(Image.Transpose.ROTATE_90).save(turned)
    broken.write_bytes(caecodec.format.container.MAGIC + b"\x01")
    page = tmp_path / "page.html"
    result = compared(original, turned, broken, missing, other, "--html", page)
    assert result.code == 8
    assert f"{turned}: it is 32x48 and {original} 48x32 pixels" in result.error_lines[0]
    assert result.error_lines[1].startswith(f"caecodec: error: {broken}: ")
    assert result.error_lines[2].startswith(f"caecodec: error: {missing}: ")
    assert result.error_lines[3:] == ["caecodec: error: 3 of 4 inputs failed"]
    assert result.out.decode().splitlines()[-1].startswith(str(other))
    assert page.read_text("utf-8").count("<option selected>") == 2


def test_nothing_is_compared_with_an_original_that_cannot_be_read(pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = compared(tmp_path / "none.png", pair[1], "--html", page)
    assert (result.code, result.out) == (7, b"")
    assert len(result.error_lines) == 1
    assert not page.exists()


def test_one_file_that_fails_gives_its_own_status(pair: tuple[Path, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    assert compared(pair[0], bad).code == 3
    assert compared(pair[0], pair[1], "--max-pixels", "100").code == 6


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    pixels = photograph(32, 48)
    clear = Image.fromarray(pixels)
    clear.putalpha(Image.fromarray(np.arange(48 * 32, dtype=np.uint32).reshape(32, 48).astype(np.uint8)))
    solid = Image.fromarray(pixels)
    solid.putalpha(255)
    names = [tmp_path / name for name in ("o.png", "clear.png", "solid.png", "deep.png", "profile.png")]
    Image.fromarray(pixels).save(names[0], icc_profile=b"some profile")
    clear.save(names[1], icc_profile=b"some profile")
    solid.save(names[2], icc_profile=b"some profile")
    gray = np.asarray(Image.fromarray(pixels).convert("L")).astype(np.uint16) * 257
    Image.fromarray(gray).save(names[3], icc_profile=b"some profile")
    Image.fromarray(pixels).save(names[4])
    rows = objects(compared(*names, "--json"))
    assert [row["notes"] for row in rows] == [
        ["transparency is left out"],
        [],
        ["16 bits per channel become 8"],
        ["its colour profile is not the original's; pixels are compared as stored"],
    ]
    assert rows[0]["psnr"] is None  # its colours are those of the original
    assert f"caecodec: warning: {names[1]}: transparency is left out" in compared(*names).error_lines
    assert compared(*names, "--quiet").err == ""


def test_pixels_are_compared_as_stored_whatever_the_orientation_tag_says(tmp_path: Path) -> None:
    image = Image.fromarray(photograph(32, 48))
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, tagged = tmp_path / "plain.png", tmp_path / "tagged.png"
    image.save(plain)
    image.save(tagged, exif=exif)
    (row,) = objects(compared(plain, tagged, "--json"))
    assert row["psnr"] is None


def test_gray_and_colour_are_compared_as_colour(tmp_path: Path) -> None:
    gray = Image.fromarray(photograph(32, 48)).convert("L")
    gray.save(tmp_path / "gray.png")
    gray.convert("RGB").save(tmp_path / "rgb.png")
    a, b = (read_file(str(tmp_path / name), Limits()) for name in ("gray.png", "rgb.png"))
    assert a.pixels.shape == b.pixels.shape == (32, 48, 3)
    assert compare_files(a, b).psnr is None


def test_two_sizes_are_both_named(tmp_path: Path) -> None:
    for name, size in (("a.png", (32, 48)), ("b.png", (32, 40))):
        Image.fromarray(photograph(*size)).save(tmp_path / name)
    a, b = (read_file(str(tmp_path / name)) for name in ("a.png", "b.png"))
    with pytest.raises(UsageError, match=r"it is 40x32 and .*a\.png 48x32 pixels"):
        compare_files(a, b)
