"""The codecs of the autoencoders of the literature: pictures of one size, many at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs.codec import Codec, Latents, Progress, check_quality, no_progress, picture_of, sections_of
from caecodec.codecs.grouping import grouped
from caecodec.engines import opening
from caecodec.engines.opening import whole
from caecodec.engines.protocol import AutoencoderEngine, Float
from caecodec.entropy.fixed_point import SYMBOL_MAX
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError, InputImageError, ModelError
from caecodec.format.container import Container
from caecodec.latents.autoencoder import FactorisedLatents
from caecodec.latents.tiny import ContextLatents
from caecodec.latents.tiny_network import ContextNetwork
from caecodec.models.networks.trade import Trade
from caecodec.pictures import cells
from caecodec.pictures.picture import Picture, Pixels
from caecodec.tune import QUALITIES
from caecodec.zoo.file import Model

if TYPE_CHECKING:
    from caecodec.engines.torch.descent import Descent


@dataclass(frozen=True, slots=True)
class Analysed:
    """Pictures as encoders have them."""

    y: Float  # (P, h, w, C), before its gain
    places: NDArray[np.uint8]  # (P, K), those of maxima
    pixels: Pixels  # (P, H, W, C)


class ByTables:
    """Codes y by a table for every channel and quality, and places by one for each."""

    def __init__(self, model: Model, engine: AutoencoderEngine) -> None:
        channels, rows, columns = engine.latent
        self._engine = engine
        self.latents = FactorisedLatents(model.tensors, rows * columns, channels, engine.places)
        self._places = opening.places(model) if engine.places else None

    def encode(self, some: Analysed, quality: int) -> tuple[list[bytes], Latents]:
        """A stream for each picture, rows of latents."""
        latents = self._rounded(some, quality)
        return self.latents.encode(latents, quality), latents

    def cost(self, one: Analysed, quality: int) -> tuple[float, Latents]:
        """Bytes that `encode` would write of one picture, about, and its latents."""
        latents = self._rounded(one, quality)[0]
        return self.latents.cost(latents, quality), latents

    def decode(self, streams: Sequence[bytes], quality: int) -> Latents:
        """Streams -> rows of latents. Raises CorruptFileError."""
        return np.stack([self.latents.decode(stream, quality) for stream in streams])

    def _rounded(self, some: Analysed, quality: int) -> Latents:
        check_quality(quality)
        gain, offset = self._engine.row("gain", quality), self._engine.row("offset", quality)
        symbols = np.clip(np.floor(some.y * gain - offset + 0.5), -SYMBOL_MAX, SYMBOL_MAX).astype(np.int32)
        rows = self.latents.silence(symbols.reshape(len(symbols), -1), quality)
        places = some.places
        if self._places is not None:
            bits = self.latents.place_bits()
            places = self._places.choose(rows.reshape(symbols.shape), places, some.pixels, bits, quality)
        return np.concatenate((rows, places.astype(np.int32)), axis=1)


class ByContext:
    """Codes y as the family `tiny` does: what is known of it says what comes next. Rows of latents are y_hat."""

    def __init__(self, model: Model, engine: AutoencoderEngine) -> None:
        """Raises ModelError where the context is not of the y that the network reads."""
        network = ContextNetwork(model.tensors)
        channels, self._rows, self._columns = engine.latent
        if network.n != channels or engine.places:
            raise ModelError("the context is of another y than the network's")
        self._engine = engine
        self.latents = ContextLatents(
            network, Tables.of(model.tensors["table.frequencies"], model.tensors["table.tail"])
        )

    def encode(self, some: Analysed, quality: int) -> tuple[list[bytes], Latents]:
        """See `ByTables`."""
        gain, weight = self._gains(quality)
        streams, y_hat = self.latents.encode(some.y * gain, quality, False, weight)
        return streams, y_hat.reshape(len(y_hat), -1)

    def cost(self, one: Analysed, quality: int) -> tuple[float, Latents]:
        """See `ByTables`."""
        gain, weight = self._gains(quality)
        cost, y_hat = self.latents.cost(one.y * gain, quality, False, weight)
        return cost, y_hat.reshape(-1)

    def decode(self, streams: Sequence[bytes], quality: int) -> Latents:
        """See `ByTables`."""
        y_hat = self.latents.decode(streams, (self._rows, self._columns), quality, False)
        return y_hat.reshape(len(y_hat), -1)

    def _gains(self, quality: int) -> tuple[Float, Float]:
        check_quality(quality)
        return self._engine.row("gain", quality), self._engine.row("weight", quality)


class AutoencoderCodec(Codec):
    """An autoencoder of the literature: pictures of its one size."""

    batch = 256

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto", engine: str = "auto") -> None:
        # made at once: the shape of y is that of the network
        self.model, self._asked = model, (device, precision)
        self.engine = opening.autoencoder(model, device, precision, engine)
        coder = ByContext if "steps.groups" in model.tensors else ByTables
        self._coder: ByTables | ByContext = coder(model, self.engine)
        self.latents = self._coder.latents

    @functools.cached_property
    def _descent(self) -> Descent:
        return opening.descent(self.model, *self._asked)

    @property
    def searches(self) -> bool:
        """Whether y can be moved to where it costs less: that of models with a context over whole 2x2 cells."""
        _, rows, columns = self.engine.latent
        return isinstance(self._coder, ByContext) and rows % 2 == 0 and columns % 2 == 0

    def worth(self, quality: int) -> Trade:
        """What a squared error is worth: lambda, in training."""
        with whole(self.model.info):  # a configuration may lack them: only a search asks
            low, high = (float(self.model.info.config[f"lambda_{end}"]) for end in ("min", "max"))
        worth = low * (high / low) ** ((quality - 1) / (QUALITIES - 1))
        return Trade(worth, 0.0, self.engine.row("weight", quality), 0.0, 0.0)

    def descended(self, tile: Analysed, quality: int, steps: int, go_on: Callable[[float], bool]) -> Analysed:
        """The same pictures with a y that costs less. Raises LimitError; UsageError without torch."""
        pixels = tile.pixels.shape[1] * tile.pixels.shape[2]
        y = self._descent(tile.pixels, tile.y, quality, pixels * self.worth(quality).mse, steps, go_on)
        return replace(tile, y=y)

    def check(self, picture: Picture) -> None:
        channels, height, width = self.engine.picture
        wanted = f"{self.model.info.name} takes {'gray ' if channels == 1 else ''}pictures of {width}x{height} pixels"
        if (picture.width, picture.height) != (width, height):
            raise InputImageError(f"{wanted}, this one is {picture.width}x{picture.height}")
        if channels == 1 and not picture.gray:
            raise InputImageError(f"{wanted}, this one is in colour")

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Analysed]:
        self.check(picture)
        yield self._analysed(self._pixels([picture]))

    def chosen(self, pixels: Pixels, quality: int) -> Latents:
        """Rows of latents of pictures (P, H, W, C) of its size, as they would be coded."""
        parts = [pixels[i : i + self.batch] for i in range(0, len(pixels), self.batch)]
        return np.concatenate([self._coder.encode(self._analysed(part), quality)[1] for part in parts])

    def _analysed(self, pixels: Pixels) -> Analysed:
        return Analysed(*self.engine.analyse(pixels), pixels)

    def _pixels(self, pictures: Sequence[Picture]) -> Pixels:
        channels = self.engine.picture[0]
        colours = [p.pixels[..., None] if p.gray else p.pixels for p in pictures]
        return np.stack([np.broadcast_to(c, (*c.shape[:2], channels)) for c in colours])

    def code_tile(self, tile: Any, quality: int) -> tuple[bytes, Latents]:
        streams, latents = self._coder.encode(tile, quality)
        return streams[0], latents[0]

    def cost_tile(self, tile: Any, quality: int) -> tuple[float, Latents]:
        return self._coder.cost(tile, quality)

    def encode_many(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        check_quality(quality)
        for picture in pictures:
            self.check(picture)
        streams, _ = self._coder.encode(self._analysed(self._pixels(pictures)), quality)
        return [self.wrap(p, quality, [s], sections_of(p)) for p, s in zip(pictures, streams, strict=True)]

    def features(self, pictures: Sequence[Picture]) -> list[Float]:
        for picture in pictures:
            self.check(picture)
        parts = [self._pixels(pictures[i : i + self.batch]) for i in range(0, len(pictures), self.batch)]
        return [y for part in parts for y in self.engine.analyse(part)[0]]

    def _check_size(self, parsed: Container) -> None:
        channels, height, width = self.engine.picture
        if (parsed.width, parsed.height) != (width, height) or (channels == 1 and not parsed.gray):
            raise CorruptFileError(f"the file's model {self.model.info.name} makes no such pictures")

    def decode_latents(self, parsed: Container) -> Iterator[Latents]:
        self._check_size(parsed)
        yield self._coder.decode([parsed.tiles[0]], self.row_of(parsed))[0]

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
        for one in parsed:
            self._check_size(one)
        found: dict[int, Picture] = {}
        for quality, numbers in grouped([self.row_of(one) for one in parsed]):
            latents = self._coder.decode([parsed[n].tiles[0] for n in numbers], quality)
            for n, one in zip(numbers, self._synthesise(latents, quality), strict=True):
                found[n] = picture_of(parsed[n], functools.partial(cells.as_asked, one, parsed[n].gray))
        return [found[n] for n in range(len(parsed))]
