"""Loaders of torch: the pixels and latents of the public API, from folders and shards, in workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import photograph, run

import caecodec

torch = pytest.importorskip("torch", reason="torch is not installed (caecodec[torch])")
from torch.utils.data import DataLoader  # noqa: E402

from caecodec.plugins.torch import Files, Shards  # noqa: E402

COUNT = 6
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than there are cores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six .cae files with labels in `in`, and three shards of two."""
    place = tmp_path_factory.mktemp("set")
    (place / "in").mkdir()
    for number in range(COUNT):
        (place / f"in/{number}.cae").write_bytes(caecodec.encode(photograph(32, 48, number), 60))
        (place / f"in/{number}.cls").write_text(str(number))
        (place / f"in/{number}.json").write_text(f'{{"n": {number}}}')
    assert run("pack", place / "in", "-o", place / "s-%d.tar", "--count", "2").code == 0
    return place


def decoded(folder: Path, number: int) -> Any:
    return np.asarray(caecodec.decode(folder / f"in/{number}.cae")).transpose(2, 0, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_files_are_the_pixels_that_decode_gives(folder: Path, workers: int) -> None:
    batches = list(DataLoader(Files(folder / "in"), batch_size=3, num_workers=workers))
    pixels = torch.cat(batches).numpy()
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.stack([decoded(folder, number) for number in range(COUNT)]))


def test_latents_come_without_pixels_and_a_transform_is_applied(folder: Path) -> None:
    paths = sorted((folder / "in").glob("*.cae"))
    files = Files(paths, lambda y: y * 2, latents=True)
    expected = caecodec.decode_latents(paths[1]).transpose(2, 0, 1) * 2
    assert np.array_equal(files[1].numpy(), expected)
    assert files[1].shape[1:] == (2, 3)
    assert len(files) == COUNT


def test_workers_take_one_thread_each(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAECODEC_THREADS", raising=False)
    seen = Files(folder / "in", lambda _: os.environ.get("CAECODEC_THREADS", "all"))
    assert seen[0] == "all"
    assert set(next(iter(DataLoader(seen, batch_size=COUNT, num_workers=1)))) == {"1"}


def test_a_sample_of_a_shard_has_all_of_its_name(folder: Path) -> None:
    samples = list(Shards(str(folder / "s-*.tar")))
    assert [sample["__key__"] for sample in samples] == [str(number) for number in range(COUNT)]
    sample = samples[3]
    assert set(sample) == {"__key__", "image", "cls", "json"}
    assert (sample["cls"], sample["json"]) == (3, {"n": 3})
    assert np.array_equal(sample["image"].numpy(), decoded(folder, 3))
    assert set(next(iter(Shards([folder / "s-0.tar"], latents=True)))) == {"__key__", "latents", "cls", "json"}


@pytest.mark.parametrize("shuffle", [0, 3])
def test_every_sample_comes_once_from_workers(folder: Path, shuffle: int) -> None:
    shards = Shards(str(folder / "s-*.tar"), shuffle=shuffle)
    keys = [key for batch in DataLoader(shards, batch_size=2, num_workers=2) for key in batch["__key__"]]
    assert sorted(keys) == [str(number) for number in range(COUNT)]


def test_shuffling_is_by_seed_and_epoch(folder: Path) -> None:
    def keys(shards: Shards) -> list[str]:
        return [sample["__key__"] for sample in shards]

    shards = Shards(str(folder / "s-*.tar"), shuffle=4, seed=1)
    first = keys(shards)
    assert keys(shards) == first == keys(Shards(str(folder / "s-*.tar"), shuffle=4, seed=1))
    shards.set_epoch(1)
    assert keys(shards) != first
    assert sorted(keys(shards)) == sorted(first)


def test_ranks_take_different_shards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"is_initialized": True, "get_world_size": 2, "get_rank": 1}.items():
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    assert [sample["__key__"] for sample in Shards(str(folder / "s-*.tar"))] == ["2", "3"]


def test_a_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    data = (folder / "in/0.cae").read_bytes()
    (tmp_path / "bad.cae").write_bytes(data[:-1])
    with pytest.raises(caecodec.CorruptFileError, match=r"bad\.cae: "):
        Files(tmp_path)[0]
    assert run("pack", tmp_path, "-o", tmp_path / "bad.tar").code == 0
    with pytest.raises(caecodec.CorruptFileError, match=r"bad\.tar::bad\.cae: "):
        next(iter(Shards([tmp_path / "bad.tar"])))
    (tmp_path / "no.tar").write_bytes(b"no archive")
    with pytest.raises(caecodec.FileSystemError, match=r"no\.tar"):
        next(iter(Shards([tmp_path / "no.tar"])))
    for made in (lambda: Files(tmp_path / "nothing"), lambda: Shards("nothing-*.tar")):
        with pytest.raises(caecodec.UsageError):
            made()


def test_latents_are_on_one_scale_at_every_quality() -> None:
    """Those of the analysis: what is lost is the rounding, the less the higher the quality."""
    from caecodec.codecs.opening import open_codec
    from caecodec.pictures.picture import from_array

    for model, side in (("photo", 80), ("tiny", 48)):
        picture = photograph(side, side, 2)
        (y,) = open_codec(model).features([from_array(picture)])
        errors = []
        for quality in (20, 60, 90):
            found = caecodec.decode_latents(caecodec.encode(picture, quality, model=model))
            assert found.shape == y.shape
            assert found.dtype == np.float32
            errors.append(float(np.sqrt(np.mean((found - y) ** 2))))
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 0.2 * float(np.std(y))


def test_a_picture_of_several_tiles_has_one_array_of_latents() -> None:
    data = caecodec.encode(photograph(40, 1100), 30)
    assert caecodec.decode_latents(data).shape[:2] == (3, 69)


def test_a_lossless_file_is_looked_at_by_the_model_asked_for() -> None:
    from caecodec.codecs.opening import open_codec
    from caecodec.pictures.picture import from_array

    picture = photograph(32, 48)
    data = caecodec.encode(picture, model="lossless")
    for model in ("photo", "tiny"):
        (y,) = open_codec(model).features([from_array(picture)])
        assert np.array_equal(caecodec.decode_latents(data, model=model), y)


def test_a_file_without_latents_says_so() -> None:
    data = caecodec.encode(photograph(28, 28)[..., 0], model="mnist")
    with pytest.raises(caecodec.UsageError, match="has no latents"):
        caecodec.decode_latents(data)
