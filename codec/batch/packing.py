"""Files -> tar shards, as WebDataset and `caecodec.plugins.torch.Shards` read them. The same files make the same."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from caecodec.errors import FileSystemError, UsageError
from caecodec.files import places
from caecodec.files.jobs import SUFFIX
from caecodec.files.writing import filled, write_many

DEFAULT_BYTES = 10**9
_BLOCK = 512
_NUMBER = "%05d"


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that was written: samples are pictures with what belongs to them."""

    path: str
    samples: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Sample:
    """The files of one name up to its first dot: their names in the archive, and where they are."""

    files: list[tuple[str, Path]]

    @property
    def bytes(self) -> int:
        return sum(_BLOCK + -(-path.stat().st_size // _BLOCK) * _BLOCK for _, path in self.files)


def pack(
    folder: Path,
    pattern: str,
    *,
    most_bytes: int = DEFAULT_BYTES,
    most_samples: int | None = None,
    overwrite: bool = False,
) -> Iterator[Shard]:
    """Pack the .cae files of a folder, each with the other files of its name (a.cae with a.cls, a.json), by name.

    pattern: of the shards, with %05d or the like for their numbers; without it all goes into one. A sample is never
    split, so a shard is larger than `most_bytes` only where one sample is. A shard appears whole or not at all.
    Raises UsageError where there are no .cae files, FileSystemError.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    samples = list(_samples(folder))
    if not samples:
        raise UsageError(f"{folder} holds no {SUFFIX} file")
    numbered = "%" in pattern
    if numbered:
        try:
            distinct = pattern % 0 != pattern % 1
        except (TypeError, ValueError) as exc:
            raise UsageError(f"{pattern}: write the place of a shard's number as {_NUMBER}") from exc
        if not distinct:
            raise UsageError(f"{pattern}: write the place of a shard's number as {_NUMBER}")
    for number, some in enumerate(_divided(samples, most_bytes, most_samples) if numbered else [samples]):
        yield _write(pattern % number if numbered else pattern, some, overwrite)


def _samples(folder: Path) -> Iterator[_Sample]:
    by_key: dict[str, list[tuple[str, Path]]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        head, slash, last = name.rpartition("/")
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            by_key.setdefault(f"{head}{slash}{last.partition('.')[0]}", []).append((name, path))
    for key in sorted(by_key):
        if any(path.suffix.lower() == SUFFIX for _, path in by_key[key]):
            yield _Sample(by_key[key])


def _divided(samples: Iterable[_Sample], most_bytes: int, most_samples: int | None) -> Iterator[list[_Sample]]:
    some: list[_Sample] = []
    held = 0
    for sample in samples:
        size = sample.bytes
        if some and (held + size > most_bytes or len(some) == most_samples):
            yield some
            some, held = [], 0
        some.append(sample)
        held += size
    yield some


def _write(path: str, samples: list[_Sample], overwrite: bool) -> Shard:
    if not overwrite and places.exists(path):
        raise FileSystemError(f"{path} exists", places.IN_THE_WAY)

    def fill(stream: BinaryIO) -> None:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, file in (one for sample in samples for one in sample.files):
                entry = tarfile.TarInfo(name)  # of no time, user or mode: the same files make the same shard
                entry.size = file.stat().st_size
                with file.open("rb") as content:
                    archive.addfile(entry, content)

    shard = filled(path, fill)
    ((_, failure),) = write_many([(path, shard)], overwrite=overwrite, make_folders=True)
    if failure is not None:
        raise failure
    return Shard(path, len(samples), shard.size)
