"""How many pictures a second a loader of torch gives, of files of each codec: crops, decoded in its workers."""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caecodec.bench.codecs.ours import CaecodecCodec, of_caecodec
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.environment import environment
from caecodec.bench.pictures import Picture, Pixels, load_pixels
from caecodec.bench.table import Table
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.writing import make_folder, write_atomically

KIND, FORMAT = "loader", 1
LATENTS = "latents"  # in brackets behind a codec's name: read without decoding pixels
_BATCH = 32
_TRIED = 24  # pictures that the quality is chosen by


@dataclass(frozen=True, slots=True)
class LoaderRow:
    """One codec: the quality nearest to the rate that was asked for, and a round's pictures a second each."""

    codec: str
    version: str
    quality: int
    mean_bytes: float
    count: int
    side: int
    workers: int
    pictures_s: tuple[float, ...]


class CodecFiles:
    """A data set for torch: files of one codec -> uint8 (H, W, 3), or latents of ours."""

    def __init__(self, codec: BenchCodec, paths: Sequence[Path], *, latents: bool = False) -> None:
        self._codec, self._paths, self._latents = codec, paths, latents
        self._model = codec.model if isinstance(codec, CaecodecCodec) else None

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Any:
        data = self._paths[number].read_bytes()
        if self._latents:
            import caecodec

            return caecodec.decode_latents(data, model=self._model)
        return np.array(self._codec.decode(data))  # of its own: torch warns of arrays that are not to be written to


def crops(pictures: Sequence[Picture], count: int, side: int) -> Iterator[Pixels]:
    """So many squares (side, side, 3), the pictures in turn, at places of a fixed seed. Raises UsageError."""
    small = [picture.name for picture in pictures if min(picture.width, picture.height) < side]
    if small:
        raise UsageError(f"{small[0]} is smaller than {side}x{side}")
    chance = np.random.default_rng(1)
    load = functools.lru_cache(maxsize=32)(load_pixels)
    for picture, _ in zip(itertools.cycle(pictures), range(count), strict=False):
        top, left = chance.integers(picture.height - side + 1), chance.integers(picture.width - side + 1)
        yield np.ascontiguousarray(load(picture.path)[top : top + side, left : left + side])


def write_files(codec: BenchCodec, pictures: Sequence[Picture], folder: Path, count: int, side: int, bpp: float) -> int:
    """Files of a codec at the quality of its grid nearest to a mean rate, those that are not there yet: the quality."""
    some = list(crops(pictures, min(count, _TRIED), side))
    rates = {
        quality: float(np.mean([8 * len(codec.encode(crop, quality)) / side**2 for crop in some]))
        for quality in codec.qualities
    }
    quality = min(rates, key=lambda q: abs(rates[q] - bpp))
    make_folder(folder / codec.name)
    for number, crop in enumerate(crops(pictures, count, side)):
        path = folder / codec.name / f"q{quality}-{number:05}.{codec.extension}"
        if not path.exists():
            write_atomically(str(path), codec.encode(crop, quality), overwrite=True)
    return quality


def measure(codec: BenchCodec, quality: int, folder: Path, *, side: int, workers: int, rounds: int) -> list[LoaderRow]:
    """Time a loader over the files of a codec; of caecodec also one of latents."""
    paths = sorted((folder / codec.name).glob(f"q{quality}-*.{codec.extension}"))
    mean = float(np.mean([path.stat().st_size for path in paths]))
    made = []
    for latents in (False, True) if of_caecodec(codec.name) else (False,):
        rates = tuple(_rate(CodecFiles(codec, paths, latents=latents), workers) for _ in range(rounds))
        name = f"{codec.name} ({LATENTS})" if latents else codec.name
        made.append(LoaderRow(name, codec.version, quality, mean, len(paths), side, workers, rates))
    return made


def _rate(files: CodecFiles, workers: int) -> float:
    """Pictures a second from the first batch on: what workers take to start is not of decoding."""
    from torch.utils.data import DataLoader

    batches = iter(DataLoader(files, batch_size=_BATCH, num_workers=workers))  # type: ignore[arg-type]
    next(batches)
    start = time.perf_counter()
    count = sum(len(batch) for batch in batches)
    return round(count / (time.perf_counter() - start), 2)


def save(rows: Sequence[LoaderRow], path: Path) -> None:
    """Write a results file. Raises FileSystemError."""
    document = {"format": FORMAT, "kind": KIND, "environment": environment(), "rows": [asdict(row) for row in rows]}
    make_folder(path.parent)
    write_atomically(str(path), (json.dumps(document, indent=1) + "\n").encode(), overwrite=True)


def load(path: Path) -> list[LoaderRow]:
    """Raises FileSystemError, and UsageError where it is no such file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if (document["kind"], document["format"]) != (KIND, FORMAT):
            raise UsageError(f"{path}: not {KIND} results of format {FORMAT}")
        return [LoaderRow(**row | {"pictures_s": tuple(row["pictures_s"])}) for row in document["rows"]]
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise UsageError(f"{path}: not a results file ({exc})") from exc


def loader_table(rows: Sequence[LoaderRow]) -> Table:
    """Pictures a second: the median of the rounds, and their range."""
    first = rows[0]
    title = f"{first.count} files of {first.side}x{first.side}, {first.workers} workers"
    lines = tuple(
        (
            row.codec,
            str(row.quality),
            f"{row.mean_bytes:.0f}",
            f"{np.median(row.pictures_s):.0f}",
            f"{min(row.pictures_s):.0f} to {max(row.pictures_s):.0f}",
        )
        for row in rows
    )
    return Table((title, "quality", "bytes a file", "pictures/s", "rounds"), lines)
