"""Data sets of .cae files for torch: files of folders, and tar shards as WebDataset has them.

    from caecodec.plugins.torch import Files, Shards
    loader = DataLoader(Files("photos", latents=True), batch_size=32, num_workers=2)
    loader = DataLoader(Shards("shards/*.tar", shuffle=1000), batch_size=32, num_workers=2)

Files are decoded in the loader's workers, with one thread each.
"""

from __future__ import annotations

import functools
import glob
import io
import json
import os
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

try:
    import torch
    from torch import Tensor
    from torch.utils.data import Dataset, IterableDataset, get_worker_info
except ImportError as exc:
    raise ImportError("caecodec.plugins.torch needs torch: pip install 'caecodec[torch]'") from exc

import caecodec
from caecodec.errors import CaecodecError, FileSystemError, UsageError

Transform = Callable[[Any], Any]
SUFFIX = ".cae"


def pixels_of(data: bytes) -> Tensor:
    """A .cae file -> uint8 (channels, height, width): 1 of gray, 3 of colour, one more for alpha."""
    pixels = np.array(caecodec.decode(data))
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def latents_of(data: bytes, model: str | None = None) -> Tensor:
    """A .cae file -> float32 (channels, rows, columns): `caecodec.decode_latents`, channels first."""
    return torch.from_numpy(np.ascontiguousarray(caecodec.decode_latents(data, model=model).transpose(2, 0, 1)))


class Files(Dataset[Any]):
    """.cae files, one an item, as `pixels_of`, or `latents_of` where `latents`. transform: of that tensor.

    model: which one looks at lossless files, of latents (`caecodec.decode_latents`).
    where: a folder, whose files are taken by name and however deep, or paths. Raises UsageError where there are none.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        transform: Transform | None = None,
        *,
        latents: bool = False,
        model: str | None = None,
    ) -> None:
        if isinstance(where, str | os.PathLike):
            self.paths = sorted(path for path in Path(where).rglob("*") if path.suffix.lower() == SUFFIX)
        else:
            self.paths = [Path(path) for path in where]
        if not self.paths:
            raise UsageError(f"{where}: no {SUFFIX} files")
        self._transform, self._read = transform, functools.partial(latents_of, model=model) if latents else pixels_of

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Any:
        """Raises OSError, and what `caecodec.decode` does, with the file's name."""
        _take_one_thread()
        path = self.paths[number]
        found = _named(str(path), path.read_bytes(), self._read)
        return found if self._transform is None else self._transform(found)


class Shards(IterableDataset[dict[str, Any]]):
    """Samples of tar files: members that share a name up to its first dot, which is `__key__`.

    A sample is a dict: the member .cae under `image`, or `latents` where asked for; .cls as int, .txt as str, .json as
    what it holds, anything else as bytes, each under its ending. shards: paths, or a pattern with * and ?. model: as of
    `Files`. Ranks of torch.distributed and workers of the loader take different shards. shuffle: samples of which one
    is drawn at a time, and shards in another order; `set_epoch` changes both, the same for every rank.
    """

    def __init__(
        self,
        shards: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        transform: Transform | None = None,
        *,
        latents: bool = False,
        model: str | None = None,
        shuffle: int = 0,
        seed: int = 0,
    ) -> None:
        if isinstance(shards, str | os.PathLike):
            self.shards = sorted(glob.glob(os.fspath(shards)))  # noqa: PTH207 (the pattern may be of any folder)
        else:
            self.shards = [os.fspath(shard) for shard in shards]
        if not self.shards:
            raise UsageError(f"{shards}: no shards")
        self._transform, self._latents = transform, latents
        self._read = functools.partial(latents_of, model=model) if latents else pixels_of
        self._shuffle, self._seed, self._epoch = shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Before a pass: another order."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises FileSystemError, and what `caecodec.decode` does, with the names of shard and member."""
        _take_one_thread()
        place, places = _place()
        chance = random.Random(f"{self._seed} {self._epoch}")
        shards = list(self.shards)
        if self._shuffle:
            chance.shuffle(shards)
        samples = (sample for shard in shards[place::places] for sample in _samples(shard))
        for sample in _drawn(samples, self._shuffle, random.Random(f"{self._seed} {self._epoch} {place}")):
            yield self._decoded(sample)

    def _decoded(self, sample: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"__key__": sample["__key__"]}
        for ending, data in sample.items():
            if ending == "cae":
                found = _named(f"{sample['__shard__']}::{sample['__key__']}.cae", data, self._read)
                made["latents" if self._latents else "image"] = found
            elif not ending.startswith("__"):
                made[ending] = _field(ending, data)
        return made if self._transform is None else self._transform(made)


def _samples(shard: str) -> Iterator[dict[str, Any]]:
    """Members of one key after another: ending -> bytes, beside `__key__` and `__shard__`."""
    sample: dict[str, Any] = {}
    try:
        with tarfile.open(shard) as archive:
            for member in archive:
                if not member.isfile():
                    continue
                folder, slash, name = member.name.removeprefix("./").rpartition("/")
                stem, _, ending = name.partition(".")
                key = f"{folder}{slash}{stem}"
                if sample and sample["__key__"] != key:
                    yield sample
                    sample = {}
                sample.setdefault("__key__", key)
                sample.setdefault("__shard__", shard)
                stream = archive.extractfile(member)
                sample[ending.lower()] = stream.read() if stream else b""
    except (OSError, tarfile.TarError) as exc:
        raise FileSystemError(f"{shard}: {exc}") from exc
    if sample:
        yield sample


def _drawn(samples: Iterator[dict[str, Any]], size: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """In another order: each drawn of `size` that wait."""
    waiting: list[dict[str, Any]] = []
    for sample in samples:
        waiting.append(sample)
        if len(waiting) > size:
            place = chance.randrange(len(waiting))
            waiting[place], waiting[-1] = waiting[-1], waiting[place]
            yield waiting.pop()
    chance.shuffle(waiting)
    yield from waiting


def _field(ending: str, data: bytes) -> Any:
    if ending == "cls":
        return int(data)
    if ending in ("txt", "caption"):
        return data.decode()
    return json.load(io.BytesIO(data)) if ending == "json" else data


def _named(name: str, data: bytes, read: Callable[[bytes], Tensor]) -> Tensor:
    """Raises what `read` does, naming the file."""
    try:
        return read(data)
    except CaecodecError as exc:
        raise type(exc)(f"{name}: {exc}") from exc


def _place() -> tuple[int, int]:
    """Which worker of all workers of all ranks, and how many there are."""
    worker = get_worker_info()
    inner, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
    rank, ranks = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return rank * workers + inner, ranks * workers


def _take_one_thread() -> None:
    """In a worker of a loader: the other workers have the other cores."""
    if get_worker_info() is not None:
        os.environ.setdefault("CAECODEC_THREADS", "1")
