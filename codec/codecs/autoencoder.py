"""The codecs of the autoencoders of the literature: pictures of one size, many at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs.codec import Codec, Latents, Progress, check_quality, no_progress, picture_of, sections_of
from caecodec.codecs.grouping import grouped
from caecodec.engines import opening
from caecodec.engines.protocol import Float
from caecodec.entropy.fixed_point import SYMBOL_MAX
from caecodec.errors import CorruptFileError, InputImageError
from caecodec.format.container import Container
from caecodec.latents.autoencoder import FactorisedLatents
from caecodec.pictures import cells
from caecodec.pictures.picture import Picture, Pixels
from caecodec.zoo.file import Model


class AutoencoderCodec(Codec):
    """An autoencoder of the literature: pictures of its one size."""

    batch = 256

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto", engine: str = "auto") -> None:
        # made at once: the shape of y is that of the network
        self.model = model
        self.engine = opening.autoencoder(model, device, precision, engine)
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
        gain, offset = self.engine.row("gain", quality), self.engine.row("offset", quality)
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
        return cells.as_asked(self._synthesise(next(latents)[None], quality)[0], gray)

    def _synthesise(self, latents: Latents, quality: int) -> Pixels:
        channels, rows, columns = self.engine.latent
        count = channels * rows * columns
        symbols = latents[:, :count].reshape(-1, rows, columns, channels)
        return self.engine.synthesise(symbols, latents[:, count:], quality)

    def decode_many(self, parsed: Sequence[Container]) -> list[Picture]:
        latents = [next(self.decode_latents(one)) for one in parsed]
        found: dict[int, Picture] = {}
        for quality, numbers in grouped([one.quality for one in parsed]):
            pixels = self._synthesise(np.stack([latents[n] for n in numbers]), quality)
            for n, one in zip(numbers, pixels, strict=True):
                found[n] = picture_of(parsed[n], functools.partial(cells.as_asked, one, parsed[n].gray))
        return [found[n] for n in range(len(parsed))]
