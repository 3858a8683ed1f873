"""What the command says and returns when something is wrong: one line, and a status a script can use."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support import contents, photograph, png, run, sealed

import caecodec

PIXELS = photograph(32, 48)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["encode"], 2, "Missing argument 'INPUT...'."),
        (["encode", "--nonsense", "img.png"], 2, "No such option"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["encode", "img.png", "-q", "0"], 2, "quality 0: choose a whole number from 1 to 100"),
        (["encode", "img.png", "-q", "101"], 2, "quality 101"),
        (["encode", "img.png", "-q", "5.5"], 2, "'5.5' is not a valid integer"),
        (["encode", "img.png", "-q", "5", "--target-bpp", "1"], 2, "give one of --quality"),
        (["encode", "img.png", "bad.png", "--target-size", "10xB"], 2, "size '10xB': write it like 40kB"),
        (["encode", "img.png", "bad.png", "--target-bpp", "-1"], 2, "a target must be above zero"),
        (["encode", "img.png", "--target-psnr", "nan"], 2, "a target must be above zero"),
        (["encode", "img.png", "--target-size", "20"], 2, "img.png: 20 bytes cannot be met: quality 1 takes"),
        (["encode", "img.png", "--max-pixels", "0"], 2, "0 is not in the range"),
        (["encode", "img.png", "--device", "abacus"], 2, "unknown device 'abacus'"),
        (["encode", "img.png", "--precision", "int1"], 2, "unknown precision 'int1'"),
        (["encode", "."], 2, ". is a folder; -r takes the pictures in it"),
        (["encode", "empty", "-r"], 2, "empty holds no picture"),
        (["decode", "empty", "-r"], 2, "empty holds no .cae file"),
        (["encode", "-"], 2, "standard input needs --output"),
        (["encode", "img.png", "-o", "a", "--output-dir", "b"], 2, "either --output or --output-dir"),
        (["encode", "img.png", "bad.png", "-o", "a.cae"], 2, "--output names one file and there are 2 inputs"),
        (["decode", "good.cae", "good.cae", "--format", "gif"], 2, "cannot write .gif; choose one of .png"),
        (["decode", "good.cae", "-o", "x"], 2, "cannot write a file without a suffix"),
        (["decode", "good.cae", "-o", "x.jpg"], 2, "good.cae: .jpg has no transparency"),
        (["encode", "bad.png"], 3, "bad.png: not a picture in a format that is read here"),
        (["encode", "cut.png"], 3, "cut.png: the picture cannot be decoded"),
        (["decode", "bad.png", "-o", "x.png"], 4, "bad.png: not a .cae file"),
        (["decode", "short.cae"], 4, "short.cae: the checksum does not match: the file is damaged or truncated"),
        (["info", "short.cae"], 4, "short.cae: the checksum does not match"),
        (["verify", "short.cae"], 4, "short.cae: the checksum does not match"),
        (["verify", "false.cae"], 4, "false.cae: "),
        (["decode", "false.cae"], 4, "false.cae: "),
        (["info", "future.cae"], 4, "future.cae: format version 9; this caecodec reads version 2"),
        (["encode", "img.png", "--model", "nonsense"], 5, "img.png: model nonsense is not installed (installed: "),
        (["encode", "img.png", "--model", "no.safetensors"], 5, "no.safetensors: No such file or directory"),
        (["encode", "img.png", "--model", "weights.safetensors"], 5, "weights.safetensors: not a "),
        (["decode", "stranger.cae"], 5, "stranger.cae: model 01020304 is not installed"),
        (["models", "--card", "nonsense"], 5, "model nonsense is not installed"),
        (["encode", "img.png", "--max-pixels", "1535"], 6, "img.png: 48x32 is 1536 pixels, over the limit of 1535"),
        (["encode", "huge.png"], 6, "huge.png: 100000x100000 is 10000000000 pixels, over the limit"),
        (["decode", "good.cae", "--max-pixels", "383"], 6, "good.cae: 24x16 is 384 pixels, over the limit of 383"),
        (["encode", "missing.png"], 7, "missing.png: No such file or directory"),
        (["decode", "missing.cae"], 7, "missing.cae: No such file or directory"),
        (["info", "."], 7, ".: this is a folder: name the files in it"),
        (["encode", "img.png", "-o", "no/x.cae"], 7, "cannot write no/x.cae: there is no folder no"),
        (["encode", "img.png", "-o", "empty", "-f"], 7, "cannot write empty: "),
        (["encode", "img.png", "--output-dir", "bad.png"], 7, "cannot make the folder bad.png: "),
        (["encode", "x" * 300 + ".png"], 7, "File name too long"),
    ],
)
def test_an_error_is_one_line_with_its_status_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_cae: bytes,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("img.png")
    body = small_cae[:-4]
    files = {
        "bad.png": b"no picture",
        "cut.png": Path("img.png").read_bytes()[:-500],
        "huge.png": png(100_000, 100_000, 8, 2, b""),
        "good.cae": small_cae,
        "short.cae": small_cae[:-7],
        "false.cae": sealed(body[:-1] + bytes((body[-1] ^ 0x55,))),  # a valid checksum over wrong latents
        "future.cae": sealed(body[:3] + b"\x09" + body[4:]),
        "stranger.cae": sealed(body[:6] + b"\x01\x02\x03\x04" + body[10:]),
        "weights.safetensors": b"no weights",
    }
    for name, data in files.items():
        Path(name).write_bytes(data)
    Path("empty").mkdir()
    before = contents(tmp_path)
    result = run(*arguments)
    assert (result.code, result.out) == (code, b"")
    assert len(result.error_lines) == 1
    assert result.err.startswith("caecodec: error: ")
    assert message in result.err
    assert contents(tmp_path) == before
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"empty"}


def test_an_error_of_the_picture_leaves_no_output_folder_behind(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert run("encode", tmp_path / "bad.png", "--output-dir", tmp_path / "out").code == 3
    assert [p.name for p in tmp_path.iterdir()] == ["bad.png"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
@pytest.mark.parametrize("existing", [False, True])
def test_a_write_that_fails_leaves_everything_as_it_was(
    picture_file: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, existing: bool
) -> None:
    def fail(_descriptor: int) -> None:
        raise error

    if existing:
        picture_file.with_suffix(".cae").write_bytes(b"precious")
    before = contents(picture_file.parent)
    monkeypatch.setattr(os, "fsync", fail)
    result = run("encode", picture_file, "-f")
    assert contents(picture_file.parent) == before
    if isinstance(error, OSError):
        line = f"cannot write {picture_file.with_suffix('.cae')}: No space left on device"
        assert (result.code, result.error_lines) == (7, [f"caecodec: error: {picture_file}: {line}"])
    else:
        assert (result.code, result.error_lines) == (6, [f"caecodec: error: {picture_file}: out of memory"])


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


PLACES = ["caecodec.pictures.pillow.open_picture", "caecodec.codecs.opening.open_codec", "os.fsync"]


@pytest.mark.parametrize("place", PLACES)
def test_an_interruption_is_130_and_leaves_nothing(
    picture_file: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    other = picture_file.with_name("other.png")
    other.write_bytes(picture_file.read_bytes())
    before = contents(picture_file.parent)
    monkeypatch.setattr(place, interrupt)
    for patience in ("SLOW_SECONDS", "GATHER_SECONDS"):  # both files in one go, however slow the machine
        monkeypatch.setattr(f"caecodec.batch.writing.{patience}", math.inf)
    result = run("encode", picture_file, other)
    assert (result.code, result.err.strip()) == (130, "caecodec: interrupted")
    assert contents(picture_file.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send SIGINT to one process")
def test_a_real_interrupt_signal_is_130_without_a_traceback() -> None:
    script = (
        # a shell's background job ignores the signal and its children inherit that
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import time, caecodec.files.writing as writing\n"
        "from caecodec.command.main import main\n"
        "writing.read_bytes = lambda source: (print('ready', flush=True), time.sleep(60))\n"
        "main(['info', 'x.cae'])"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, "caecodec: interrupted")


def explode(*_: object, **__: object) -> None:
    raise RuntimeError("boom\nand more")


def test_a_bug_is_1_and_one_line(cae_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caecodec.format.record.info", explode)
    result = run("info", cae_file)
    assert (result.code, result.error_lines) == (
        1,
        [f"caecodec: internal error: {cae_file}: RuntimeError: boom and more (a bug; --debug shows where)"],
    )


def test_a_bug_outside_the_files_is_1_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caecodec.zoo.find.installed", explode)
    result = run("models")
    assert (result.code, len(result.error_lines)) == (1, 1)
    assert "Traceback" in run("models", "--debug").err


@pytest.mark.parametrize("before", [True, False])
def test_debug_shows_the_traceback_wherever_it_stands(cae_file: Path, before: bool) -> None:
    cae_file.write_bytes(b"no")
    result = run("--debug", "info", cae_file) if before else run("info", cae_file, "--debug")
    assert result.code == 4
    assert result.err.startswith("Traceback")
    assert result.error_lines[-1] == f"caecodec: error: {cae_file}: not a .cae file (it does not begin with CA EC 0D)"
    assert "Traceback" not in run("info", cae_file).err


def test_help_and_version_are_0_and_no_arguments_are_2() -> None:
    assert run("--version").out == f"caecodec, version {caecodec.__version__}\n".encode()
    for arguments in (["--help"], ["-h"], ["encode", "-h"], ["decode", "--help"]):
        result = run(*arguments)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(b"Usage: caecodec")
    assert run().code == 2


def command(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "caecodec", *map(str, arguments)]
    return subprocess.run(whole, stderr=subprocess.PIPE, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_standard_output_is_a_file_system_error(cae_file: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = command("info", cae_file, stdout=full)
    assert (done.returncode, done.stderr) == (7, f"caecodec: error: {cae_file}: No space left on device\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe in another way")
@pytest.mark.parametrize("arguments", [["info"], ["--help"], ["models"]])
def test_a_closed_pipe_ends_the_command_without_a_word(cae_file: Path, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = command(*arguments, *([cae_file] if arguments == ["info"] else []), stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux surely allows a file name that is not UTF-8")
def test_a_name_that_no_terminal_can_show_is_done_all_the_same(cae_file: Path) -> None:
    odd = cae_file.with_name(os.fsdecode(b"odd-\xff.cae"))
    cae_file.rename(odd)
    result = run("info", odd)
    assert (result.code, result.err) == (0, "")
    assert b"odd-\\udcff.cae: 24x16" in result.out


def test_a_damaged_model_is_named(tmp_path: Path, picture_file: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    result = run("encode", picture_file, "--model", damaged)
    assert (result.code, len(result.error_lines)) == (5, 1)
    assert "damaged.safetensors: not a caecodec model" in result.err
