"""The codecs of small pictures: autoencoders of one size, and `tiny`. One tile, many pictures at once."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs.codec import Codec, Latents, Pixels, Progress, check_quality, no_progress, picture_of, sections_of
from caecodec.engines.torch.small import AutoencoderEngine, TinyEngine
from caecodec.entropy.fixed_point import SYMBOL_MAX
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError, InputImageError
from caecodec.format.container import Container
from caecodec.latents.autoencoder import FactorisedLatents
from caecodec.latents.tiny import ContextLatents
from caecodec.latents.tiny_network import ContextNetwork
from caecodec.pictures.picture import Picture
from caecodec.zoo import find

Float = NDArray[np.float32]
Key = TypeVar("Key", bound=Hashable)
TINY_MAX_SIDE = 64
TINY_CELL = 8


class AutoencoderCodec(Codec):
    """An autoencoder of the literature: pictures of its one size."""

    batch = 256

    def __init__(self, model: find.Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.engine = AutoencoderEngine(model, device, precision)
        channels, rows, columns = self.engine.latent
        self.latents = FactorisedLatents(model.tensors, rows * columns, channels, self.engine.places)

    def check(self, picture: Picture) -> None:
        channels, height, width = self.engine.picture
        wanted = f"{self.model.info.name} takes {'gray ' if channels == 1 else ''}pictures of {width}x{height} pixels"
        if (picture.width, picture.height) != (width, height):
            raise InputImageError(f"{wanted}, this one is {picture.width}x{picture.height}")
        if channels == 1 and not picture.gray:
            raise InputImageError(f"{wanted}, this one is in colour")

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[tuple[Float, NDArray[np.uint8]]]:
        self.check(picture)
        y, places = self.engine.analyse(self._pixels([picture]))
        yield y[0], places[0]

    def _pixels(self, pictures: Sequence[Picture]) -> Pixels:
        channels = self.engine.picture[0]
        colours = [p.colour[..., None] if p.gray else p.colour for p in pictures]
        return np.stack([np.broadcast_to(c, (*c.shape[:2], channels)) for c in colours])

    def _latents(self, y: Float, places: NDArray[np.uint8], quality: int) -> Latents:
        """y (P, h, w, C), places (P, K) -> rows of latents."""
        check_quality(quality)
        gain, offset = self.engine.gain(quality), self.engine.gain(quality, "offset")
        symbols = np.clip(np.floor(y * gain - offset + 0.5), -SYMBOL_MAX, SYMBOL_MAX).astype(np.int32)
        rows = self.latents.silence(symbols.reshape(len(y), -1), quality)
        return np.concatenate((rows, places.astype(np.int32)), axis=1)

    def code_tile(self, tile: Any, quality: int) -> tuple[bytes, Latents]:
        latents = self._latents(tile[0][None], tile[1][None], quality)
        return self.latents.encode(latents, quality)[0], latents[0]

    def cost_tile(self, tile: Any, quality: int) -> tuple[float, Latents]:
        latents = self._latents(tile[0][None], tile[1][None], quality)[0]
        return self.latents.cost(latents, quality), latents

    def encode_many(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        for picture in pictures:
            self.check(picture)
        streams = self.latents.encode(self._latents(*self.engine.analyse(self._pixels(pictures)), quality), quality)
        return [self.wrap(p, quality, [s], sections_of(p)) for p, s in zip(pictures, streams, strict=True)]

    def features(self, pictures: Sequence[Picture]) -> list[Float]:
        for picture in pictures:
            self.check(picture)
        parts = [self._pixels(pictures[i : i + self.batch]) for i in range(0, len(pictures), self.batch)]
        return [y for part in parts for y in self.engine.analyse(part)[0]]

    def decode_latents(self, parsed: Container) -> Iterator[Latents]:
        channels, height, width = self.engine.picture
        if (parsed.width, parsed.height) != (width, height) or (channels == 1 and not parsed.gray):
            raise CorruptFileError(f"the file's model {self.model.info.name} makes no such pictures")
        yield self.latents.decode(parsed.tiles[0], parsed.quality)

    def synthesise(
        self,
        width: int,
        height: int,
        gray: bool,
        quality: int,
        latents: Iterator[Latents],
        progress: Progress = no_progress,
    ) -> Pixels:
        return _as_asked(self._synthesise(next(latents)[None], quality)[0], gray)

    def _synthesise(self, latents: Latents, quality: int) -> Pixels:
        channels, rows, columns = self.engine.latent
        count = channels * rows * columns
        symbols = latents[:, :count].reshape(-1, rows, columns, channels)
        return self.engine.synthesise(symbols, latents[:, count:], quality)

    def decode_many(self, parsed: Sequence[Container]) -> list[Picture]:
        latents = [next(self.decode_latents(one)) for one in parsed]
        found: dict[int, Picture] = {}
        for quality, numbers in _grouped([one.quality for one in parsed]):
            pixels = self._synthesise(np.stack([latents[n] for n in numbers]), quality)
            for n, one in zip(numbers, pixels, strict=True):
                found[n] = picture_of(parsed[n], functools.partial(_as_asked, one, parsed[n].gray))
        return [found[n] for n in range(len(parsed))]


@dataclass(frozen=True, slots=True)
class _Analysed:
    y: Float  # (1, h, w, N)
    gray: bool


class TinyCodec(Codec):
    """The small-picture model: any picture of up to 64x64 pixels."""

    batch = 256

    def __init__(self, model: find.Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.engine = TinyEngine(model, device, precision)
        tables = Tables.of(model.tensors["table.frequencies"], model.tensors["table.tail"])
        self.latents = ContextLatents(ContextNetwork(model.tensors), tables)

    def check(self, picture: Picture) -> None:
        if max(picture.width, picture.height) > TINY_MAX_SIDE:
            name, size = self.model.info.name, f"{picture.width}x{picture.height}"
            wanted = f"{TINY_MAX_SIDE}x{TINY_MAX_SIDE}"
            raise InputImageError(f"{name} takes pictures of up to {wanted} pixels, this one is {size}")

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[_Analysed]:
        self.check(picture)
        yield _Analysed(self.engine.analyse(_padded(picture)[None]), picture.gray)

    def code_tile(self, tile: Any, quality: int) -> tuple[bytes, Latents]:
        gain, weight = self._gains(quality)
        streams, y_hat = self.latents.encode(tile.y * gain, quality, tile.gray, weight)
        return streams[0], y_hat[0]

    def cost_tile(self, tile: Any, quality: int) -> tuple[float, Latents]:
        gain, weight = self._gains(quality)
        cost, y_hat = self.latents.cost(tile.y * gain, quality, tile.gray, weight)
        return cost, y_hat[0]

    def _gains(self, quality: int) -> tuple[Float, Float]:
        return self.engine.gain(quality), self.engine.gain(quality, "weight")

    def encode_many(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        check_quality(quality)
        gain, weight = self._gains(quality)
        found: list[bytes] = [b""] * len(pictures)
        for picture in pictures:
            self.check(picture)
        for (gray, _), numbers in _grouped([(p.gray, _cells(p.width, p.height)) for p in pictures]):
            y = self.engine.analyse(np.stack([_padded(pictures[n]) for n in numbers]))
            streams, _ = self.latents.encode(y * gain, quality, gray, weight)
            for n, stream in zip(numbers, streams, strict=True):
                found[n] = self.wrap(pictures[n], quality, [stream], sections_of(pictures[n]))
        return found

    def features(self, pictures: Sequence[Picture]) -> list[Float]:
        found: dict[int, Float] = {}
        for picture in pictures:
            self.check(picture)
        for _, numbers in _grouped([_cells(p.width, p.height) for p in pictures]):
            for start in range(0, len(numbers), self.batch):
                some = numbers[start : start + self.batch]
                y = self.engine.analyse(np.stack([_padded(pictures[n]) for n in some]))
                found |= dict(zip(some, y, strict=True))
        return [found[n] for n in range(len(pictures))]

    def decode_many(self, parsed: Sequence[Container]) -> list[Picture]:
        found: dict[int, Picture] = {}
        for one in parsed:
            self._check_size(one)
        kinds = [(one.quality, one.gray, _cells(one.width, one.height)) for one in parsed]
        for (quality, gray, cells), numbers in _grouped(kinds):
            y_hat = self.latents.decode([parsed[n].tiles[0] for n in numbers], cells, quality, gray)
            for n, pixels in zip(numbers, self.engine.synthesise(y_hat, quality), strict=True):
                whole = pixels[: parsed[n].height, : parsed[n].width]
                found[n] = picture_of(parsed[n], functools.partial(_as_asked, whole, gray))
        return [found[n] for n in range(len(parsed))]

    def _check_size(self, parsed: Container) -> None:
        if max(parsed.width, parsed.height) > TINY_MAX_SIDE:
            raise CorruptFileError(f"the file's model {self.model.info.name} makes no such pictures")

    def decode_latents(self, parsed: Container) -> Iterator[Latents]:
        self._check_size(parsed)
        cells = _cells(parsed.width, parsed.height)
        yield self.latents.decode(parsed.tiles, cells, parsed.quality, parsed.gray)[0]

    def synthesise(
        self,
        width: int,
        height: int,
        gray: bool,
        quality: int,
        latents: Iterator[Latents],
        progress: Progress = no_progress,
    ) -> Pixels:
        pixels = self.engine.synthesise(next(latents)[None], quality)[0]
        return _as_asked(pixels[:height, :width], gray)


def _grouped(keys: Sequence[Key]) -> list[tuple[Key, list[int]]]:
    """Which of the keys are equal: each key that occurs, and where."""
    groups: dict[Key, list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    return list(groups.items())


def _cells(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of cells."""
    return -(-height // TINY_CELL), -(-width // TINY_CELL)


def _padded(picture: Picture) -> Pixels:
    """Colour (H, W, 3), continued past the right and lower edge to whole cells."""
    rows, columns = _cells(picture.width, picture.height)
    below, beside = rows * TINY_CELL - picture.height, columns * TINY_CELL - picture.width
    colour = picture.colour
    if below or beside:
        colour = np.pad(colour, ((0, below), (0, beside), *((0, 0),) * (colour.ndim - 2)), mode="edge")
    return np.repeat(colour[..., None], 3, axis=2) if colour.ndim == 2 else colour


def _as_asked(pixels: Pixels, gray: bool) -> Pixels:
    """(H, W, 1 or 3) -> (H, W, 3), or (H, W) for gray, the mean of three rounded."""
    if not gray:
        return np.ascontiguousarray(pixels)
    total = pixels.sum(axis=2, dtype=np.uint16)
    gray_pixels: Pixels = ((total + pixels.shape[2] // 2) // pixels.shape[2]).astype(np.uint8)
    return gray_pixels
