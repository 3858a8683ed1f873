"""A manifest: what is done stays done, what changed is done again, and a kill loses nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import Result, contents, photograph, run

from caecodec.batch.manifest import Manifest, rows
from caecodec.zoo import find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures in a folder `in`."""
    (tmp_path / "in").mkdir()
    for number, name in enumerate("abc"):
        Image.fromarray(photograph(16, 24, number)).save(tmp_path / f"in/{name}.png")
    return tmp_path


def encode(folder: Path, *options: str) -> Result:
    where = folder / "in", "-r", "--output-dir", folder / "out", "--manifest", folder / "run.jsonl"
    return run("encode", *where, "-j", "1", *options)


def done(folder: Path) -> list[str]:
    """The inputs of rows that say done, in their order."""
    return [Path(row["input"]).stem for row in rows(str(folder / "run.jsonl")) if row.get("bytes") is not None]


def test_a_row_says_what_was_done_and_how(folder: Path) -> None:
    assert encode(folder, "-q", "40").code == 0
    source = folder / "in/a.png"
    begun, over = [row for row in rows(str(folder / "run.jsonl")) if row["input"] == str(source)]
    common = {"input": str(source), "output": str(folder / "out/a.cae"), "size": source.stat().st_size}
    common |= {"changed": str(source.stat().st_mtime_ns), "model": find.find().id.hex(), "options": over["options"]}
    assert begun == common | {"begun": True}
    facts = {"bytes": (folder / "out/a.cae").stat().st_size, "quality": 40, "width": 24, "height": 16}
    assert over == common | facts | {"seconds": over["seconds"]}


def test_what_is_done_is_left_and_counted(folder: Path) -> None:
    encode(folder)
    before = contents(folder / "out")
    result = encode(folder)
    assert (result.code, result.out, result.error_lines) == (0, b"", ["3 files done already"])
    assert contents(folder / "out") == before
    assert done(folder) == ["a", "b", "c"]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_what_changed_is_done_again_without_force(folder: Path, processes: str) -> None:
    encode(folder, "-j", processes)
    Image.fromarray(photograph(16, 24, 9)).save(folder / "in/b.png")
    (folder / "out/c.cae").unlink()
    assert encode(folder, "-j", processes).code == 0
    assert sorted(done(folder)[3:]) == ["b", "c"]
    again = run("encode", folder / "in/b.png", "-o", folder / "b.cae")
    assert again.code == 0
    assert (folder / "out/b.cae").read_bytes() == (folder / "b.cae").read_bytes()


def test_other_options_do_everything_again(folder: Path) -> None:
    for options in (["-q", "40"], ["-q", "41"], ["-q", "41", "--strip"], ["--target-bpp", "3"], ["--model", "tiny"]):
        assert encode(folder, *options).code == 0
    assert done(folder) == ["a", "b", "c"] * 5
    assert "3 files done already" in encode(folder, "--model", "tiny").err


def test_a_failure_is_a_row_and_is_tried_again(folder: Path) -> None:
    (folder / "in/b.png").write_bytes(b"no picture")
    assert encode(folder).code == 8
    (failed,) = [row for row in rows(str(folder / "run.jsonl")) if "error" in row]
    assert failed["error"].startswith("not a picture in a format that is read here (")
    assert failed["kind"] == "InputImageError"
    assert encode(folder).code == 8
    Image.fromarray(photograph(16, 24)).save(folder / "in/b.png")
    assert encode(folder).code == 0
    assert done(folder) == ["a", "c", "b"]


def test_what_another_put_there_is_not_replaced(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/a.cae").write_bytes(b"mine")
    assert encode(folder).code == 8  # there before the first run
    (folder / "out/b.cae").write_bytes(b"mine too")
    Image.fromarray(photograph(16, 24, 9)).save(folder / "in/b.png")
    result = encode(folder)  # or after it
    assert [line.rpartition("/")[2].partition(";")[0] for line in result.error_lines[:2]] == [
        "a.cae exists",
        "b.cae exists",
    ]
    assert (folder / "out/a.cae").read_bytes() == b"mine"
    assert (folder / "out/b.cae").read_bytes() == b"mine too"
    assert encode(folder, "-f").code == 0


def test_what_was_begun_may_be_replaced(folder: Path) -> None:
    """A kill between the output and its row."""
    encode(folder)
    manifest = folder / "run.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:-1]))
    assert encode(folder).code == 0
    assert done(folder) == ["a", "b", "c"]


@pytest.mark.parametrize("kept", [1, 5, 40])
def test_half_a_row_at_the_end_is_dropped(folder: Path, kept: int) -> None:
    encode(folder)
    manifest = folder / "run.jsonl"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + whole[:kept])
    assert "3 files done already" in encode(folder).err
    assert manifest.read_bytes() == whole
    manifest.write_bytes(whole[:kept])
    assert encode(folder, "-f").code == 0
    assert done(folder) == ["a", "b", "c"]


@pytest.mark.parametrize("data", [b"a text of another kind", b"one line\n", b'{"a": 1}\n', b"[1]\n", b"\x89PNG\n"])
def test_another_file_is_not_taken_for_a_manifest(folder: Path, data: bytes) -> None:
    (folder / "run.jsonl").write_bytes(data)
    result = encode(folder)
    assert result.code == 2
    assert "is no manifest of caecodec" in result.err
    assert (folder / "run.jsonl").read_bytes() == data
    assert not (folder / "out").exists()


def test_two_runs_do_not_share_a_manifest(folder: Path) -> None:
    pytest.importorskip("fcntl", reason="Windows has no flock")
    with Manifest(str(folder / "run.jsonl"), {}):
        result = encode(folder)
    assert result.code == 2
    assert "another run writes to this manifest" in result.err


def test_decode_has_manifests_too(folder: Path) -> None:
    encode(folder)
    where = folder / "out", "-r", "--output-dir", folder / "back", "--manifest", folder / "decode.jsonl", "-j", "1"
    assert run("decode", *where).code == 0
    row = list(rows(str(folder / "decode.jsonl")))[-1]
    assert (row["model"], row["quality"]) == (find.find().id.hex(), 75)
    assert "3 files done already" in run("decode", *where).err
    assert run("decode", *where, "--format", "webp").code == 0
    assert len(contents(folder / "back")) == 6


def killed_again_and_again(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Encode, killed at random times, until it is done; files that were done, and done in vain."""
    command = [sys.executable, "-m", "caecodec", "encode", folder / "in", "-r", "--output-dir", folder / "out"]
    command += ["--manifest", folder / "run.jsonl", "-j", "2", "--quiet"]
    chance = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen(command, start_new_session=True)
        time.sleep(chance.uniform(0.3, 2.0))
        if chance.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)  # all of it
        else:
            process.kill()  # its processes have to see that nobody wants them any more
        process.wait()
    subprocess.run(command, check=True)
    counted: Counter[str] = Counter()
    begun: set[str] = set()
    last: dict[str, Any] = {}
    for row in rows(str(folder / "run.jsonl")):
        assert "error" not in row
        if row.get("begun"):
            begun.add(row["input"])
        else:
            assert row["input"] in begun
            counted[row["input"]] += 1
            last[row["input"]] = row
    assert set(counted.values()) == {1}, "done twice"
    begins = sum(bool(row.get("begun")) for row in rows(str(folder / "run.jsonl")))
    return len(last), begins - len(last)


@pytest.mark.slow
def test_thirty_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(400):
        Image.fromarray(photograph(96, 128, number)).save(tmp_path / f"in/{number:03}.png")
    finished, in_vain = killed_again_and_again(tmp_path, 30, 1)
    assert finished == 400
    assert in_vain <= 30 * 2 * 17  # those in work and those that lay ready for two processes, at each kill
    reference = run("encode", tmp_path / "in", "-r", "--output-dir", tmp_path / "whole", "-j", "2")
    assert reference.code == 0
    made = {name: data for name, data in contents(tmp_path / "out").items() if not name.endswith(".tmp")}
    assert made == contents(tmp_path / "whole")


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(12):
        Image.fromarray(photograph(16, 24, number)).save(tmp_path / f"in/{number:03}.png")
    finished, _ = killed_again_and_again(tmp_path, 1, 3)
    assert finished == 12
