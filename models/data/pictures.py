"""Training pictures: read once, kept as uint8 in memory (on the accelerator when there is one), cropped there."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from caecodec.models.networks.klt import largest

PICTURE_SUFFIXES = {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
LOSSLESS_SUFFIXES = {".bmp", ".png", ".tif", ".tiff", ".webp"}
VALIDATION_CROP = 256  # side
# the last for damaged files, on which Pillow's decoders raise nearly anything
_UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, EOFError, IndexError)

Wanted = Callable[[str], bool]  # by a picture's name


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture or a tar shard on the disk; its name is that below the folder it was found in."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One encoded picture: its name, in a shard SHARD/MEMBER, and its bytes."""

    name: str
    data: bytes


def files_of(paths: Iterable[Path]) -> list[PictureFile]:
    """Pictures and shards in folders (recursively), and files that are one, in a fixed order; others are left out."""
    found = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        root = path if path.is_dir() else path.parent
        keep = [p for p in inside if p.suffix.lower() in PICTURE_SUFFIXES | {".tar"}]
        found += [PictureFile(p.relative_to(root).as_posix(), p) for p in keep]
    return found


def everything(_name: str) -> bool:
    """Every picture is wanted."""
    return True


def opened(file: PictureFile, wanted: Wanted = everything) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and streams of the pictures of a file, a shard's one after the other. Raises OSError, tarfile.TarError."""
    if file.path.suffix.lower() == ".tar":
        with tarfile.open(file.path) as shard:
            for member in shard:
                name = f"{file.name}/{member.name}"
                if member.isfile() and Path(member.name).suffix.lower() in PICTURE_SUFFIXES and wanted(name):
                    stream = shard.extractfile(member)
                    if stream is not None:
                        yield name, stream
    elif wanted(file.name):
        with file.path.open("rb") as stream:
            yield file.name, stream


def encoded_pictures(
    paths: Iterable[Path], wanted: Wanted = everything, warn: Callable[[str], None] | None = None
) -> Iterator[EncodedPicture]:
    """Pictures of folders, tar shards and single files.

    Raises FileNotFoundError for a path that is none of these; ValueError for a damaged shard and OSError for a file
    that cannot be opened, or tells `warn` of them and goes on with the next.
    """
    for path in paths:
        files = files_of([path])
        if not path.exists() or not (files or path.is_dir()):
            raise FileNotFoundError(f"{path}: no such folder, tar shard or picture")
        for file in files:
            try:
                yield from (EncodedPicture(name, stream.read()) for name, stream in opened(file, wanted))
            except (tarfile.TarError, OSError) as exc:
                if warn is not None:
                    warn(f"left out: {file.path}: cannot be read ({exc})")
                elif isinstance(exc, tarfile.TarError):
                    raise ValueError(f"{file.path}: not a whole tar shard ({exc})") from exc
                else:
                    raise


def read(picture: EncodedPicture, shrink: float = 1.0) -> Tensor:
    """Decode to (H, W, 3) uint8, shrunk by Lanczos to `shrink` times its sides. Raises ValueError."""
    try:
        with Image.open(io.BytesIO(picture.data)) as image:
            rgb = image.convert("RGB")
    except _UNREADABLE as exc:
        raise ValueError(f"{picture.name}: not a picture Pillow can read ({exc})") from exc
    if shrink < 1:
        size = (max(1, round(rgb.width * shrink)), max(1, round(rgb.height * shrink)))
        rgb = rgb.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(rgb))


def shorter_sides(paths: Iterable[Path]) -> dict[str, int]:
    """Name -> shorter side in pixels of every picture, by its header; what cannot be read is left out."""
    found = {}
    for file in files_of(paths):
        try:
            for name, stream in opened(file):
                try:
                    with Image.open(stream) as image:
                        found[name] = min(image.size)
                except _UNREADABLE:
                    continue
        except (tarfile.TarError, OSError):
            continue
    return found


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

    def add(self, encoded: EncodedPicture, min_side: int) -> None:
        """Read one picture; one smaller than a crop is left out. Raises ValueError."""
        lossless = Path(encoded.name).suffix.lower() in LOSSLESS_SUFFIXES
        copies = 1 if lossless else self._copies
        for _ in range(copies):
            picture = read(encoded, 1.0 if lossless else self._reading.uniform(0.5, 1.0))
            if min(picture.shape[:2]) < min_side or self.full:
                continue
            self._pixels += picture.shape[0] * picture.shape[1]
            weight = self._lossless_weight if lossless else 1.0 / copies
            self._pictures.append((picture.to(self._device), weight))

    def batch(self, size: int, crop: int) -> Tensor:
        """`size` random crops, flipped and transposed at random -> (B, 3, crop, crop) in [0, 1], channels_last."""
        draw, known = self._drawing, self._pictures[:]
        pictures = draw.choices([p for p, _ in known], [weight for _, weight in known], k=size)
        crops: dict[tuple[int, ...], list[Tensor]] = {}  # by the axes they are flipped along
        for picture in pictures:
            top, left = (draw.randrange(length - crop + 1) for length in picture.shape[:2])
            view = picture[top : top + crop, left : left + crop]
            if draw.random() < 0.5:
                view = view.transpose(0, 1)
            axes = tuple(axis for axis in (1, 2) if draw.random() < 0.5)
            crops.setdefault(axes, []).append(view)
        # many at a time: an accelerator would wait for the launch of every single flip
        turned = [torch.stack(views).flip(axes) for axes, views in crops.items()]
        return torch.cat(turned).permute(0, 3, 1, 2).float() / 255  # NHWC memory is channels_last


def validation_crops(
    paths: Iterable[Path],
    crop: int,
    device: torch.device,
    wanted: Wanted = everything,
    warn: Callable[[str], None] | None = None,
) -> Tensor:
    """The centre crop of every wanted picture at least that large -> (P, 3, crop, crop) uint8.

    Raises FileNotFoundError where there is none, ValueError for a picture or a shard that cannot be read and OSError
    for a file that cannot be opened, or tells `warn` of them.
    """
    paths = list(paths)
    crops = []
    for encoded in encoded_pictures(paths, wanted, warn):
        try:
            picture = read(encoded)
        except ValueError as exc:
            if warn is None:
                raise
            warn(f"left out: {exc}")
            continue
        height, width = picture.shape[:2]
        if min(height, width) >= crop:
            top, left = (height - crop) // 2, (width - crop) // 2
            crops.append(picture[top : top + crop, left : left + crop])
    if not crops:
        raise FileNotFoundError(f"no validation picture of at least {crop}x{crop} in {', '.join(map(str, paths))}")
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
