"""Which pictures are held out of training: the same ones every time, enough to validate on, never all."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caecodec.models.data import holdout


def picture(path: Path, side: int = 64) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((side, side + 8, 3), np.uint8)).save(path)


def folder_of(path: Path, count: int) -> Path:
    for i in range(count):
        picture(path / f"{i % 3}" / f"{i:03}.png")
    return path


@pytest.mark.parametrize(("count", "held"), [(2, 1), (9, 1), (20, 2), (57, 5), (430, 40)])
def test_a_tenth_is_held_out_one_at_least_and_forty_at_most(tmp_path: Path, count: int, held: int) -> None:
    assert len(set(holdout.choose([folder_of(tmp_path, count)], 64))) == held


def test_the_choice_hangs_on_names_alone_and_hardly_on_how_many_there_are(tmp_path: Path) -> None:
    chosen = holdout.choose([folder_of(tmp_path / "a", 100)], 64)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert holdout.choose([tmp_path / "b"], 64) == chosen
    assert chosen == tuple(sorted(chosen))
    for i in range(10):
        picture(tmp_path / "b" / f"new-{i}.png")
    assert len(set(chosen) - set(holdout.choose([tmp_path / "b"], 64))) <= 2


def test_members_of_shards_are_pictures_like_others(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(stream, "PNG")
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for i in range(20):
            member = tarfile.TarInfo(f"in/{i}.png")
            member.size = len(stream.getvalue())
            shard.addfile(member, io.BytesIO(stream.getvalue()))
    chosen = holdout.choose([tmp_path / "shard.tar"], 64)
    assert len(chosen) == 2
    assert all(name.startswith("shard.tar/in/") for name in chosen)


def test_only_what_is_large_enough_and_can_be_read_is_held_out(tmp_path: Path) -> None:
    picture(tmp_path / "large.png", 64)
    for i in range(30):
        picture(tmp_path / f"small-{i}.png", 63)
        (tmp_path / f"damaged-{i}.png").write_bytes(b"no picture")
    assert holdout.choose([tmp_path], 64) == ("large.png",)


def test_one_picture_none_large_enough_and_no_folder_are_refused_with_the_way_out(tmp_path: Path) -> None:
    picture(tmp_path / "one" / "a.png")
    with pytest.raises(ValueError, match=r"one: one picture only, and none is left to train on .*--validation"):
        holdout.choose([tmp_path / "one"], 64)
    with pytest.raises(ValueError, match=r"no picture of at least 256x256 in .*one to hold out: .*--validation"):
        holdout.choose([tmp_path / "one"], 256)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        holdout.choose([tmp_path / "nowhere"], 64)


def test_what_is_held_out_is_said_and_kept_with_the_run(tmp_path: Path) -> None:
    names = tuple(f"{i} a.png" for i in range(7))
    assert holdout.told(names[:2], tmp_path) == "held out to validate on: 0 a.png, 1 a.png"
    assert holdout.told(names, tmp_path).endswith(f"4 a.png and 2 more, see {tmp_path / 'held-out.txt'}")
    assert holdout.written(tmp_path) == ()
    holdout.write(names, tmp_path)
    assert holdout.written(tmp_path) == names


def test_what_was_held_out_stays_so_and_is_joined_by_others_only_where_none_of_it_is_there(tmp_path: Path) -> None:
    folder_of(tmp_path, 30)
    fresh = holdout.choose([tmp_path], 64)
    kept = tuple(f"{i % 3}/{i:03}.png" for i in range(30) if f"{i % 3}/{i:03}.png" not in fresh)[:2]
    assert holdout.choose([tmp_path], 64, (*kept, "gone.png")) == tuple(sorted((*kept, "gone.png")))
    assert holdout.choose([tmp_path], 64, ("gone.png",)) == tuple(sorted((*fresh, "gone.png")))
    with pytest.raises(ValueError, match=r"every picture was held out before, and none is left to train on"):
        holdout.choose([tmp_path], 64, [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png")])


def test_names_that_are_not_utf8_or_hold_odd_separators_are_held_out_like_others(tmp_path: Path) -> None:
    names = tuple(sorted((os.fsdecode(b"caf\xe9.png"), "a\x85b.png", "c\u2028d.png", "e\rf.png")))
    holdout.write(names, tmp_path)
    assert holdout.written(tmp_path) == names
    assert os.fsencode("".join(f"{name}\n" for name in names)) == (tmp_path / "held-out.txt").read_bytes()
    pictures = tmp_path / "pictures"
    for i in range(2):
        try:
            picture(pictures / f"{names[-1]}-{i}.png")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    assert len(holdout.choose([pictures], 64)) == 1
