"""Training pictures: where they are found, and crops of those in memory."""

from __future__ import annotations

import tarfile
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from support import encoded, photograph

from caecodec.models.data import pictures


def test_the_pool_stops_at_its_bound() -> None:
    pool = pictures.Pool(torch.device("cpu"), seed=0, max_megapixels=0.01)
    picture = pictures.EncodedPicture("a.png", encoded(Image.fromarray(photograph(80, 80))))
    for _ in range(5):
        pool.add(picture, 64)
    assert pool.full
    assert len(pool) == 2


def test_crops_are_turned_in_all_eight_ways() -> None:
    pool = pictures.Pool(torch.device("cpu"), seed=0)
    whole = photograph(16, 16)
    pool.add(pictures.EncodedPicture("a.png", encoded(Image.fromarray(whole))), 16)
    batch = pool.batch(100, 16)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    x = torch.from_numpy(whole).permute(2, 0, 1).float() / 255
    ways = [turned.flip(axes) for turned in (x, x.mT) for axes in ((), (1,), (2,), (1, 2))]
    drawn = {next(k for k, way in enumerate(ways) if torch.equal(crop, way)) for crop in batch}
    assert drawn == set(range(8))


def test_drawing_while_another_thread_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "read", lambda _picture, _shrink=1.0: torch.zeros(4, 4, 3, dtype=torch.uint8))
    pool = pictures.Pool(torch.device("cpu"), seed=0)
    picture = pictures.EncodedPicture("a.png", b"")
    pool.add(picture, 2)
    adder = threading.Thread(target=lambda: [pool.add(picture, 2) for _ in range(3000)])
    adder.start()
    while adder.is_alive():
        pool.batch(1, 2)
    adder.join()
    assert len(pool) == 3001


def test_pictures_are_named_below_the_folder_they_are_found_in(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("deep/er/b.jpg", "a.png"):
        Image.fromarray(photograph(16, 16)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    with tarfile.open(tmp_path / "deep" / "some.tar", "w") as shard:
        shard.add(tmp_path / "a.png", "c.png")
        shard.add(tmp_path / "notes.txt", "notes.txt")
    found = {p.name: p.data for p in pictures.encoded_pictures([tmp_path, tmp_path / "a.png"])}
    assert list(found) == ["a.png", "deep/er/b.jpg", "deep/some.tar/c.png"]
    assert found["deep/some.tar/c.png"] == found["a.png"] == (tmp_path / "a.png").read_bytes()
    assert pictures.shorter_sides([tmp_path]) == dict.fromkeys(found, 16)
    some = pictures.encoded_pictures([tmp_path], lambda name: name.startswith("deep"))
    assert [p.name for p in some] == ["deep/er/b.jpg", "deep/some.tar/c.png"]
    for missing in ("nowhere", "nowhere.png", "notes.txt"):
        with pytest.raises(FileNotFoundError, match=rf"{missing}: no such folder, tar shard or picture"):
            list(pictures.encoded_pictures([tmp_path / missing]))


def test_a_damaged_validation_picture_is_refused_or_left_out_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(photograph(40, 48)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:-900])
    place = torch.device("cpu")
    with pytest.raises(ValueError, match=r"b\.png: not a picture"):
        pictures.validation_crops([tmp_path], 32, place)
    warnings: list[str] = []
    crops = pictures.validation_crops([tmp_path], 32, place, warn=warnings.append)
    assert crops.shape == (1, 3, 32, 32)
    assert ["left out: b.png" in w for w in warnings] == [True]
    with pytest.raises(FileNotFoundError, match="no validation picture of at least 32x32"):
        pictures.validation_crops([tmp_path], 32, place, lambda name: name == "b.png", warnings.append)


@pytest.mark.parametrize("damage", ["cut", "nothing", "text"])
def test_a_damaged_shard_is_refused_or_left_out_with_a_warning(tmp_path: Path, damage: str) -> None:
    Image.fromarray(photograph(40, 48)).save(tmp_path / "z.png")
    with tarfile.open(tmp_path / "a.tar", "w") as shard:
        shard.add(tmp_path / "z.png", "in.png")
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes({"cut": whole[:1000], "nothing": b"", "text": b"no shard"}[damage])
    place = torch.device("cpu")
    with pytest.raises(ValueError, match=r"a\.tar: not a whole tar shard"):
        pictures.validation_crops([tmp_path], 32, place)
    warnings: list[str] = []
    crops = pictures.validation_crops([tmp_path], 32, place, warn=warnings.append)
    assert crops.shape == (1, 3, 32, 32)
    assert [f"left out: {tmp_path / 'a.tar'}: cannot be read" in w for w in warnings] == [True]
