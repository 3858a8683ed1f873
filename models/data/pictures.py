"""Training pictures: read once, kept as uint8 in memory (on the accelerator when there is one), cropped there."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from caecodec.models.networks.klt import largest

PICTURE_SUFFIXES = {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
LOSSLESS_SUFFIXES = {".bmp", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True, slots=True)
class Source:
    """One encoded picture: its name and its bytes."""

    name: str
    data: bytes


def sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Pictures of folders (recursively), tar shards and single files, in a fixed order."""
    for path in paths:
        if path.is_dir():
            yield from sources(sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES | {".tar"}))
        elif path.suffix == ".tar":
            with tarfile.open(path) as shard:
                for member in shard:
                    if member.isfile() and Path(member.name).suffix.lower() in PICTURE_SUFFIXES:
                        stream = shard.extractfile(member)
                        if stream is not None:
                            yield Source(f"{path.name}/{member.name}", stream.read())
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            yield Source(path.name, path.read_bytes())
        else:
            raise FileNotFoundError(f"{path}: no such folder, tar shard or picture")


def read(source: Source, shrink: float = 1.0) -> Tensor:
    """Decode to (H, W, 3) uint8, shrunk by Lanczos to `shrink` times its sides."""
    try:
        with Image.open(io.BytesIO(source.data)) as picture:
            rgb = picture.convert("RGB")
    # the last for damaged files, on which Pillow's decoders raise nearly anything
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, EOFError, IndexError) as exc:
        raise ValueError(f"{source.name}: not a picture Pillow can read ({exc})") from exc
    if shrink < 1:
        size = (max(1, round(rgb.width * shrink)), max(1, round(rgb.height * shrink)))
        rgb = rgb.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(rgb))


class Pool:
    """Pictures as uint8 tensors on one device, and random crops of them. One thread may add while another draws.

    A picture that was stored lossily is shrunk at random (0.5x to 1x) when read, so that the traces of its own
    compression are not what the model learns; lossless ones are kept whole and drawn `lossless_weight` times as often.
    """

    def __init__(
        self,
        device: torch.device,
        seed: int,
        lossless_weight: float = 2.0,
        copies: int = 2,
        max_megapixels: float = 4000.0,
    ) -> None:
        self._device, self._lossless_weight, self._copies = device, lossless_weight, copies
        # two, so that what is drawn does not depend on how far the other thread has read
        self._reading, self._drawing = random.Random(seed), random.Random(seed + 1)
        self._pictures: list[tuple[Tensor, float]] = []  # and their weights; tuples, so that an append is whole
        self._pixels, self._max_pixels = 0, max_megapixels * 1e6

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def full(self) -> bool:
        """Whether no more pictures are taken."""
        return self._pixels >= self._max_pixels

    def reseed(self, seed: int) -> None:
        """Draw other crops than before: for a run that goes on."""
        self._drawing.seed(seed)

    def add(self, source: Source, min_side: int) -> None:
        """Read one picture; one smaller than a crop is left out. Raises ValueError."""
        lossless = Path(source.name).suffix.lower() in LOSSLESS_SUFFIXES
        copies = 1 if lossless else self._copies
        for _ in range(copies):
            picture = read(source, 1.0 if lossless else self._reading.uniform(0.5, 1.0))
            if min(picture.shape[:2]) < min_side or self.full:
                continue
            self._pixels += picture.shape[0] * picture.shape[1]
            weight = self._lossless_weight if lossless else 1.0 / copies
            self._pictures.append((picture.to(self._device), weight))

    def batch(self, size: int, crop: int) -> Tensor:
        """`size` random crops, flipped and transposed at random -> (B, 3, crop, crop) in [0, 1], channels_last."""
        draw, known = self._drawing, self._pictures[:]
        pictures = draw.choices([p for p, _ in known], [weight for _, weight in known], k=size)
        crops = []
        for picture in pictures:
            top, left = (draw.randrange(length - crop + 1) for length in picture.shape[:2])
            view = picture[top : top + crop, left : left + crop]
            if draw.random() < 0.5:
                view = view.transpose(0, 1)
            axes = [axis for axis in (0, 1) if draw.random() < 0.5]
            crops.append(view.flip(axes) if axes else view)
        return torch.stack(crops).permute(0, 3, 1, 2).float() / 255  # NHWC memory is channels_last


def validation_crops(paths: Iterable[Path], crop: int, device: torch.device) -> Tensor:
    """The centre crop of every picture at least that large -> (P, 3, crop, crop) uint8."""
    crops = []
    for source in sources(paths):
        picture = read(source)
        height, width = picture.shape[:2]
        if min(height, width) >= crop:
            top, left = (height - crop) // 2, (width - crop) // 2
            crops.append(picture[top : top + crop, left : left + crop])
    if not crops:
        raise FileNotFoundError(f"no validation picture of at least {crop}x{crop}")
    return torch.stack(crops).permute(0, 3, 1, 2).to(device)


def klt(pool: Pool, patch: int, n: int, batches: int = 200) -> tuple[Tensor, Tensor]:
    """Karhunen-Loeve transform of patch x patch x 3 training patches in [-1/2, 1/2], channels innermost.

    Returns basis (3*patch^2, n), orthonormal columns by falling variance, and the deviation (n,) of each coefficient.
    """
    side = 3 * patch * patch
    second = torch.zeros(side, side, dtype=torch.float64)
    for _ in range(batches):
        x = pool.batch(16, patch * 4).cpu() - 0.5
        rows = x.permute(0, 2, 3, 1).reshape(16, 4, patch, 4, patch, 3).permute(0, 1, 3, 2, 4, 5).reshape(-1, side)
        second += (rows.T @ rows / len(rows)).double()
    return largest(second / batches, n)
