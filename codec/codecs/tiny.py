"""The codec of the `tiny` family: gray and colour pictures of up to 64x64 pixels, many at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caecodec.codecs.codec import Codec, Latents, Progress, check_quality, no_progress, picture_of, sections_of
from caecodec.codecs.grouping import grouped
from caecodec.engines import opening
from caecodec.engines.protocol import Float, Refinement, TinyEngine, TinyLatents, Trial
from caecodec.entropy.fixed_point import ONE, SAMPLE_BITS
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError, InputImageError
from caecodec.format.container import Container
from caecodec.latents.tiny import ContextLatents
from caecodec.latents.tiny_network import ContextNetwork
from caecodec.models.networks.trade import Trade
from caecodec.pictures import cells
from caecodec.pictures.cells import TINY_CELL
from caecodec.pictures.picture import Picture, Pixels
from caecodec.zoo.file import Model

TINY_MAX_SIDE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A picture as latents. weighs: whether rounding weighs rate against distortion, or takes the nearest symbols."""

    y: Float  # (1, h, w, N)
    gray: bool
    weighs: bool = True


class TinyCodec(Codec):
    """The small-picture model: any picture of up to 64x64 pixels."""

    batch = 256

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto", engine: str = "auto") -> None:
        self.model = model
        self._asked = device, precision, engine
        self.latents: TinyLatents
        if opening.of_cells(*self._asked) == "native":
            self.latents = opening.tiny_latents(model)
        else:
            tables = Tables.of(model.tensors["table.frequencies"], model.tensors["table.tail"])
            self.latents = ContextLatents(ContextNetwork(model.tensors), tables)

    @functools.cached_property
    def engine(self) -> TinyEngine:
        """Pixels <-> latents, made when pixels are first needed."""
        return opening.tiny(self.model, *self._asked)

    def load(self) -> None:
        _ = self.engine

    def check(self, picture: Picture) -> None:
        if max(picture.width, picture.height) > TINY_MAX_SIDE:
            name, size = self.model.info.name, f"{picture.width}x{picture.height}"
            wanted = f"{TINY_MAX_SIDE}x{TINY_MAX_SIDE}"
            raise InputImageError(f"{name} takes pictures of up to {wanted} pixels, this one is {size}")

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Analysed]:
        self.check(picture)
        yield Analysed(self.engine.analyse(cells.filled(picture.pixels, TINY_CELL)[None]), picture.gray)

    def code_tile(self, tile: Any, quality: int) -> tuple[bytes, Latents]:
        gain, weight = self._gains(quality)
        streams, y_hat = self.latents.encode(tile.y * gain, quality, tile.gray, weight if tile.weighs else None)
        return streams[0], y_hat[0]

    def cost_tile(self, tile: Any, quality: int) -> tuple[float, Latents]:
        gain, weight = self._gains(quality)
        cost, y_hat = self.latents.cost(tile.y * gain, quality, tile.gray, weight if tile.weighs else None)
        return cost, y_hat[0]

    def worth(self, quality: int) -> Trade:
        """What errors are worth at a quality: a model says it of each channel, of pixels its linear branch tells."""
        tensors, weight = self.model.tensors, self.engine.row("weight", quality)
        layer = np.asarray(tensors["g_s.linear.weight"], np.float64) * 2.0 ** -int(tensors["g_s.linear.shift"].item())
        factor = np.asarray(tensors["quality.to_g_s"][quality - 1], np.float64)
        factor *= 2.0 ** -np.asarray(tensors["quality.to_g_s.shift"], np.float64) * ONE
        power = np.square(layer * factor[:, None] * 2.0**-SAMPLE_BITS).sum(1)  # of a step of each channel, in samples
        heard = power > 0
        return Trade(float(np.median(3 * weight[heard] / power[heard])), 0.0, weight, 0.0, 0.0)

    def trial(self, tile: Refinement) -> Trial:
        """What choosing a picture's symbols again goes by. Raises LimitError; UsageError where there is no core."""
        return opening.tiny_trial(self.model, tile)

    def _gains(self, quality: int) -> tuple[Float, Float]:
        return self.engine.row("gain", quality), self.engine.row("weight", quality)

    def encode_many(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        check_quality(quality)
        gain, weight = self._gains(quality)
        found: list[bytes] = [b""] * len(pictures)
        for picture in pictures:
            self.check(picture)
        for (gray, _), numbers in grouped([(p.gray, cells.count(p.width, p.height, TINY_CELL)) for p in pictures]):
            y = self.engine.analyse(np.stack([cells.filled(pictures[n].pixels, TINY_CELL) for n in numbers]))
            streams, _ = self.latents.encode(y * gain, quality, gray, weight)
            for n, stream in zip(numbers, streams, strict=True):
                found[n] = self.wrap(pictures[n], quality, [stream], sections_of(pictures[n]))
        return found

    def features(self, pictures: Sequence[Picture]) -> list[Float]:
        found: dict[int, Float] = {}
        for picture in pictures:
            self.check(picture)
        for _, numbers in grouped([cells.count(p.width, p.height, TINY_CELL) for p in pictures]):
            for start in range(0, len(numbers), self.batch):
                some = numbers[start : start + self.batch]
                y = self.engine.analyse(np.stack([cells.filled(pictures[n].pixels, TINY_CELL) for n in some]))
                found |= dict(zip(some, y, strict=True))
        return [found[n] for n in range(len(pictures))]

    def decode_many(self, parsed: Sequence[Container]) -> list[Picture]:
        found: dict[int, Picture] = {}
        for one in parsed:
            self._check_size(one)
        kinds = [(self.row_of(one), one.gray, cells.count(one.width, one.height, TINY_CELL)) for one in parsed]
        for (quality, gray, shape), numbers in grouped(kinds):
            y_hat = self.latents.decode([parsed[n].tiles[0] for n in numbers], shape, quality, gray)
            for n, pixels in zip(numbers, self.engine.synthesise(y_hat, quality), strict=True):
                whole = pixels[: parsed[n].height, : parsed[n].width]
                found[n] = picture_of(parsed[n], functools.partial(cells.as_asked, whole, gray))
        return [found[n] for n in range(len(parsed))]

    def _check_size(self, parsed: Container) -> None:
        if max(parsed.width, parsed.height) > TINY_MAX_SIDE:
            raise CorruptFileError(f"the file's model {self.model.info.name} makes no such pictures")

    def decode_latents(self, parsed: Container) -> Iterator[Latents]:
        self._check_size(parsed)
        shape = cells.count(parsed.width, parsed.height, TINY_CELL)
        yield self.latents.decode(parsed.tiles, shape, self.row_of(parsed), parsed.gray)[0]

    def latents_of(self, parsed: Container) -> Float:
        (y_hat,) = self.decode_latents(parsed)
        return np.asarray(y_hat / (np.float32(ONE) * self.engine.row("gain", self.row_of(parsed))), np.float32)

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
        return cells.as_asked(pixels[:height, :width], gray)
