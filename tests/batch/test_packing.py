from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from support import contents, run


@pytest.fixture
def folder(tmp_path: Path, small_cae: bytes) -> Path:
    for name in ("a.cae", "b.cae", "deep/c.cae"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(small_cae)
    (tmp_path / "in/a.cls").write_bytes(b"7")
    (tmp_path / "in/other.txt").write_bytes(b"of no picture")
    return tmp_path


def names(shard: Path) -> list[str]:
    with tarfile.open(shard) as archive:
        return archive.getnames()


def test_pictures_are_packed_by_name_with_what_belongs_to_them(folder: Path) -> None:
    assert run("pack", folder / "in", "-o", folder / "s.tar").code == 0
    assert names(folder / "s.tar") == ["a.cae", "a.cls", "b.cae", "deep/c.cae"]
    with tarfile.open(folder / "s.tar") as archive:
        archive.extractall(folder / "back", filter="data")
    (folder / "in/other.txt").unlink()
    assert contents(folder / "back") == contents(folder / "in")


def test_shards_are_of_so_many_pictures_or_bytes(folder: Path) -> None:
    result = run("pack", folder / "in", "-o", folder / "n/s-%03d.tar", "--count", "2")
    assert [line.rpartition("/")[2].partition(",")[0] for line in result.out.decode().splitlines()] == [
        "s-000.tar: 2 pictures",
        "s-001.tar: 1 pictures",
    ]
    assert names(folder / "n/s-001.tar") == ["deep/c.cae"]
    assert run("pack", folder / "in", "-o", folder / "b/s-%03d.tar", "--size", "1kB").code == 0
    assert sorted(contents(folder / "b")) == ["s-000.tar", "s-001.tar", "s-002.tar"]
    assert names(folder / "b/s-000.tar") == ["a.cae", "a.cls"]


def test_the_same_files_make_the_same_shard(folder: Path) -> None:
    run("pack", folder / "in", "-o", folder / "1.tar")
    os.utime(folder / "in/a.cae", (1, 1))
    run("pack", folder / "in", "-o", folder / "2.tar")
    assert (folder / "1.tar").read_bytes() == (folder / "2.tar").read_bytes()


def test_a_shard_is_not_overwritten_without_force(folder: Path) -> None:
    (folder / "s.tar").write_bytes(b"mine")
    assert run("pack", folder / "in", "-o", folder / "s.tar").code == 7
    assert (folder / "s.tar").read_bytes() == b"mine"
    assert run("pack", folder / "in", "-o", folder / "s.tar", "-f").code == 0


@pytest.mark.parametrize("pattern", ["s-%q.tar", "s-%s-%s.tar", "100%.tar", "100%%.tar"])
def test_a_pattern_without_the_place_of_a_number_is_refused(folder: Path, pattern: str) -> None:
    result = run("pack", folder / "in", "-o", folder / pattern)
    assert result.code == 2
    assert "as %05d" in result.err


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    assert "holds no .cae file" in run("pack", tmp_path, "-o", tmp_path / "s.tar").err


def test_shards_may_lie_where_fsspec_knows(folder: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (caecodec[fsspec])")
    assert run("pack", folder, "-o", "memory://packed/shard-%05d.tar").code == 0
    assert fsspec.filesystem("memory").size("/packed/shard-00000.tar") > 0
