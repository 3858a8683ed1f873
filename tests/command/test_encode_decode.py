from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import contents, encoded, opened, photograph, psnr, run, soft_alpha

import caecodec
from caecodec.codecs import opening
from caecodec.command import terminal

PIXELS = photograph(32, 48)


def test_encode_writes_beside_the_input_and_decode_gives_the_picture_back(picture_file: Path) -> None:
    folder = picture_file.parent
    before = picture_file.read_bytes()
    assert run("encode", picture_file, "-q", "80").code == 0
    assert set(contents(folder)) == {"img.png", "img.cae"}
    assert run("decode", folder / "img.cae", "-o", folder / "back.png").code == 0
    assert psnr(np.asarray(opened(folder / "back.png")), PIXELS) > 25
    assert picture_file.read_bytes() == before


def test_the_command_and_the_library_write_the_same_bytes(picture_file: Path) -> None:
    run("encode", picture_file, "-q", "33")
    assert picture_file.with_suffix(".cae").read_bytes() == caecodec.encode(PIXELS, 33)
    np.testing.assert_array_equal(
        np.asarray(caecodec.open_image(picture_file.with_suffix(".cae"))),
        np.asarray(caecodec.decode(caecodec.encode(PIXELS, 33))),
    )


def test_quality_is_75_where_none_is_given(picture_file: Path) -> None:
    run("encode", picture_file)
    assert caecodec.info(picture_file.with_suffix(".cae").read_bytes()).quality == 75


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (33, 65), (10, 2000)])
def test_any_size_goes_there_and_back(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.fromarray(photograph(*shape)).save(tmp_path / "a.png")
    assert run("encode", tmp_path / "a.png").code == 0
    assert run("decode", tmp_path / "a.cae", "--format", "webp").code == 0
    assert opened(tmp_path / "a.webp").size == shape[::-1]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".tiff"])
def test_alpha_comes_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(PIXELS)
    image.putalpha(Image.fromarray(soft_alpha(32, 48)))
    image.save(tmp_path / "a.png")
    run("encode", tmp_path / "a.png")
    assert run("decode", tmp_path / "a.cae", "-o", tmp_path / f"b{suffix}").code == 0
    back = opened(tmp_path / f"b{suffix}")
    assert back.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(back)[..., 3], soft_alpha(32, 48))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".jpg", ".jpeg", ".tif"])
def test_gray_stays_gray(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "a.png")
    run("encode", tmp_path / "a.png")
    assert run("decode", tmp_path / "a.cae", "-o", tmp_path / f"b{suffix}").code == 0
    assert opened(tmp_path / f"b{suffix}").mode == "L"


@pytest.mark.parametrize("suffix", ["png", ".jpg", "webp"])
def test_metadata_is_kept_and_strip_drops_it(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif, icc_profile=b"profile", xmp=b"<x/>")
    run("encode", tmp_path / "a.jpg")
    run("encode", tmp_path / "a.jpg", "--strip", "-o", tmp_path / "bare.cae")
    out = tmp_path / "out"
    assert run("decode", tmp_path / "a.cae", tmp_path / "bare.cae", "--output-dir", out, "--format", suffix).code == 0
    kept = opened(out / f"a.{suffix.lstrip('.')}")
    assert kept.size == (48, 32)
    assert kept.getexif()[274] == 6
    assert (kept.info["icc_profile"], kept.info["xmp"]) == (b"profile", b"<x/>")
    bare = opened(out / f"bare.{suffix.lstrip('.')}")
    assert not {"exif", "icc_profile", "xmp"} & set(bare.info)


def test_standard_streams_at_both_ends_carry_bytes_only(picture_file: Path) -> None:
    there = run("encode", "-", "-o", "-", stdin=picture_file.read_bytes())
    assert (there.code, there.out) == (0, caecodec.encode(PIXELS))
    assert there.err.startswith("-: 48x32")
    back = run("decode", "-", "-o", "-", stdin=there.out)
    assert back.code == 0
    assert Image.open(io.BytesIO(back.out)).format == "PNG"
    webp = run("decode", "-", "-o", "-", "--format", "webp", "--quiet", stdin=there.out)
    assert (Image.open(io.BytesIO(webp.out)).format, webp.err) == ("WEBP", "")
    assert run("info", "-", stdin=there.out).out.startswith(b"-: 48x32 RGB, quality 75")
    assert run("verify", "-", stdin=there.out).out == b"-: ok\n"
    assert set(contents(picture_file.parent)) == {"img.png"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_no_bytes_of_a_picture_go_to_a_terminal(picture_file: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "caecodec", "encode", str(picture_file), "-o", "-"]
    ended = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False, text=True)
    os.close(theirs)
    os.set_blocking(ours, False)
    with pytest.raises(OSError):  # nothing was written to it: the other end is closed and nothing is left to read
        os.read(ours, 1)
    os.close(ours)
    assert ended.returncode == 2
    assert "standard output is a terminal" in ended.stderr


def test_info_calls_a_lossless_file_lossless_and_gives_the_rate_by_its_name(picture_file: Path) -> None:
    target = picture_file.with_suffix(".cae")
    target.write_bytes(caecodec.encode(PIXELS, model="lossless"))
    told = run("info", target).out.decode()
    assert told.startswith(f"{target}: 48x32 RGB, lossless\n")
    assert f"compression rate {caecodec.info(target.read_bytes()).compression_rate:.2%}" in told


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_an_existing_output_is_not_overwritten_without_force(picture_file: Path, command: str) -> None:
    folder = picture_file.parent
    (folder / "img.cae").write_bytes(caecodec.encode(PIXELS, 5) if command == "decode" else b"precious")
    before = contents(folder)
    result = run(command, folder / ("img.png" if command == "encode" else "img.cae"))
    assert result.code == 7
    assert "exists; -f overwrites it, --skip-existing leaves it" in result.err
    assert contents(folder) == before


def test_force_overwrites(picture_file: Path) -> None:
    target = picture_file.with_suffix(".cae")
    target.write_bytes(b"old")
    assert run("encode", picture_file, "-f").code == 0
    assert target.read_bytes() == caecodec.encode(PIXELS)
    assert set(contents(picture_file.parent)) == {"img.png", "img.cae"}


def test_skip_existing_leaves_what_is_there_and_does_the_rest(picture_file: Path) -> None:
    folder = picture_file.parent
    shutil.copy(picture_file, folder / "other.png")
    (folder / "img.cae").write_bytes(b"old")
    result = run("encode", picture_file, folder / "other.png", "--skip-existing")
    assert result.code == 0
    assert "img.cae: exists, skipped" in result.err
    assert (folder / "img.cae").read_bytes() == b"old"
    assert (folder / "other.cae").read_bytes() == caecodec.encode(PIXELS)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["encode", "img.png", "-o", "img.png", "-f"], "encode writes .cae files: name the output img.cae"),
        (["encode", "img.png", "-o", "other.JPG"], "encode writes .cae files: name the output other.cae"),
        (["decode", "img.png", "-f"], "img.png is not named as a .cae file; if it is one, name the output with -o"),
        (["decode", "img.png", "-o", "./img.png", "-f"], "the output of img.png would replace the input img.png"),
    ],
)
def test_an_output_that_is_the_input_or_no_cae_file_is_refused(
    picture_file: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], message: str
) -> None:
    monkeypatch.chdir(picture_file.parent)
    before = contents(picture_file.parent)
    result = run(*command)
    assert (result.code, result.error_lines) == (2, [f"caecodec: error: {message}"])
    assert contents(picture_file.parent) == before


def test_a_folder_that_is_missing_is_named(picture_file: Path) -> None:
    target = picture_file.parent / "x" / "y" / "z.cae"
    result = run("encode", picture_file, "-o", target)
    assert result.code == 7
    assert f"there is no folder {target.parent}" in result.err


def test_a_folder_keeps_its_structure_in_the_output_folder(tmp_path: Path) -> None:
    for name in ("a.png", "deep/b.JPG", "deep/er/c.webp", "notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no picture")
        else:
            Image.fromarray(PIXELS).save(path)
    assert run("encode", tmp_path / "in", "-r", "--output-dir", tmp_path / "cae").code == 0
    assert set(contents(tmp_path / "cae")) == {"a.cae", "deep/b.cae", "deep/er/c.cae"}
    assert run("decode", tmp_path / "cae", "-r", "--output-dir", tmp_path / "back").code == 0
    assert set(contents(tmp_path / "back")) == {"a.png", "deep/b.png", "deep/er/c.png"}


def test_the_others_are_done_after_one_fails(picture_file: Path) -> None:
    folder = picture_file.parent
    (folder / "bad.png").write_bytes(b"no picture")
    shutil.copy(picture_file, folder / "zoo.png")
    result = run("encode", picture_file, folder / "bad.png", folder / "missing.png", folder / "zoo.png")
    assert result.code == 8
    *failures, summary = result.error_lines
    assert sorted(failures) == [  # four files are shared by processes: one fails before the other or after it
        f"caecodec: error: {folder / 'bad.png'}: not a picture in a format that is read here "
        "(PNG, JPEG, WEBP, AVIF, TIFF, BMP, GIF, PPM, JPEG2000, ICO, HEIF, JXL)",
        f"caecodec: error: {folder / 'missing.png'}: No such file or directory",
    ]
    assert summary == "caecodec: error: 2 of 4 inputs failed"
    assert set(contents(folder)) == {"img.png", "bad.png", "zoo.png", "img.cae", "zoo.cae"}


def test_one_bad_file_among_several_does_not_stop_info_and_verify(cae_file: Path) -> None:
    (cae_file.parent / "bad.cae").write_bytes(b"\xca\xec\x0d")
    for command in ("info", "verify"):
        result = run(command, cae_file.parent / "bad.cae", cae_file)
        assert result.code == 8
        assert result.out.startswith(f"{cae_file}: ".encode())


def test_quiet_says_nothing(picture_file: Path) -> None:
    folder = picture_file.parent
    frames = [Image.new("RGB", (9, 9), c) for c in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    commands = (
        ["encode", folder / "moving.gif"],
        ["encode", folder / "moving.gif", "--skip-existing"],
        ["decode", folder / "moving.cae"],
        ["info", folder / "moving.cae"],
        ["verify", folder / "moving.cae"],
    )
    for command in commands:
        result = run(*command, "--quiet")
        assert (result.code, result.out, result.err) == (0, b"", "")
    assert run("encode", folder / "missing.png", "--quiet").error_lines == [
        f"caecodec: error: {folder / 'missing.png'}: No such file or directory"
    ]


def test_json_is_one_object_a_file(picture_file: Path) -> None:
    folder = picture_file.parent
    shutil.copy(picture_file, folder / "other.png")
    result = run("encode", picture_file, folder / "other.png", "-q", "12", "--json")
    assert (result.code, result.err) == (0, "")
    first, second = [json.loads(line) for line in result.out.splitlines()]
    size = len(caecodec.encode(PIXELS, 12))
    assert second["input"] == str(folder / "other.png")
    assert (first["input"], first["output"]) == (str(picture_file), str(folder / "img.cae"))
    assert (first["width"], first["height"], first["quality"], first["bytes"]) == (48, 32, 12, size)
    assert first["bpp"] == pytest.approx(8 * size / (48 * 32))
    assert first["input_bytes"] == picture_file.stat().st_size
    assert first["seconds"] > 0
    decoded = json.loads(run("decode", folder / "img.cae", "-o", folder / "b.png", "--json").out)
    assert (decoded["bytes"], decoded["input_bytes"]) == ((folder / "b.png").stat().st_size, size)
    facts = json.loads(run("info", folder / "img.cae", "--json").out)
    assert facts == {"file": str(folder / "img.cae")} | caecodec.info((folder / "img.cae").read_bytes()).to_dict()
    assert json.loads(run("verify", folder / "img.cae", "--json").out) == {
        "file": str(folder / "img.cae"),
        "ok": True,
    }


def test_json_stays_out_of_bytes_on_standard_output(picture_file: Path) -> None:
    result = run("encode", picture_file, "-o", "-", "--json")
    assert result.out == caecodec.encode(PIXELS)
    assert json.loads(result.err)["bytes"] == len(result.out)


@pytest.mark.parametrize("quality", [20, 70])
def test_a_target_size_is_kept(picture_file: Path, quality: int) -> None:
    size = len(caecodec.encode(PIXELS, quality)) + 3
    result = run("encode", picture_file, "--target-size", f"{size}B", "-o", "-", "--quiet")
    assert result.code == 0
    assert len(result.out) <= size
    assert caecodec.info(result.out).quality >= quality


def test_other_targets_are_kept(picture_file: Path) -> None:
    rate = run("encode", picture_file, "--target-bpp", "2", "-o", "-", "--quiet").out
    assert 8 * len(rate) / (48 * 32) <= 2
    fine = run("encode", picture_file, "--target-psnr", "33.5", "-o", "-", "--quiet").out
    assert psnr(np.asarray(caecodec.decode(fine)), PIXELS) >= 33.5


def test_a_16_bit_picture_and_an_animation_are_done_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    frames = [Image.new("RGB", (9, 9), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    deep, moving = run("encode", tmp_path / "deep.png"), run("encode", tmp_path / "moving.gif")
    assert (deep.code, moving.code) == (0, 0)
    assert deep.error_lines == [f"caecodec: warning: {tmp_path / 'deep.png'}: 16 bits per channel become 8"]
    assert moving.error_lines == [f"caecodec: warning: {tmp_path / 'moving.gif'}: only the first frame is kept"]


def test_a_picture_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(encoded(Image.fromarray(PIXELS), "WEBP"))
    assert run("encode", tmp_path / "photo").code == 0
    assert set(contents(tmp_path)) == {"photo", "photo.cae"}


def test_info_shows_the_facts(cae_file: Path) -> None:
    result = run("info", cae_file)
    lines = result.out.decode().splitlines()
    assert lines[0] == f"{cae_file}: 24x16 RGBA, quality 30"
    assert "photo" in lines[1]
    assert f"{cae_file.stat().st_size} bytes" in lines[2]
    assert "alpha" in lines[3]


def test_models_lists_what_is_installed(tmp_path: Path) -> None:
    result = run("models", "--json")
    names = [json.loads(line)["name"] for line in result.out.splitlines()]
    assert (result.code, "photo" in names) == (0, True)
    assert b"(default)" in run("models").out


def test_the_seconds_of_decode_leave_out_loading(cae_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = opening.open_codec

    def slowly(*arguments: str) -> object:
        time.sleep(0.8)
        return usual(*arguments)

    run("decode", cae_file, "-o", cae_file.with_name("first.png"))
    monkeypatch.setattr(opening, "open_codec", slowly)
    record = json.loads(run("decode", cae_file, "-o", cae_file.with_name("b.png"), "--json").out)
    assert 0 < record["seconds"] < 0.8


def test_a_folder_with_heic_is_done_whole(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is an optional extra: caecodec[heif]")
    heif.from_pillow(Image.fromarray(PIXELS)).save(tmp_path / "a.HEIC", quality=90)
    Image.fromarray(PIXELS).save(tmp_path / "b.avif")
    assert run("encode", tmp_path, "-r").code == 0
    assert {"a.cae", "b.cae"} < set(contents(tmp_path))


def test_what_libtiff_says_is_a_warning_that_names_the_file(tmp_path: Path) -> None:
    image = Image.fromarray(photograph(16, 24))
    stream = io.BytesIO()
    image.save(stream, "TIFF", compression="tiff_lzw")
    data = bytearray(stream.getvalue())
    data[40:60] = bytes(20)  # of the compressed strip
    (tmp_path / "bad.tif").write_bytes(data)
    command = [sys.executable, "-m", "caecodec", "encode", "bad.tif"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert any("LZWDecode" in line for line in lines)
    assert all(line.startswith(("caecodec: warning: bad.tif: ", "caecodec: error: bad.tif: ")) for line in lines)
    quiet = subprocess.run([*command, "--quiet", "-f"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "LZWDecode" not in quiet.stderr


def test_markup_in_a_file_name_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "on_terminal", lambda stream: True)
    monkeypatch.setattr(terminal, "DELAY_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.ProgressLine("[bold]a[/x].png", enabled=True) as line:
        line.update(0.5)
    assert line._bar is not None
    assert line._bar.tasks[0].description == "\\[bold]a\\[/x].png"
