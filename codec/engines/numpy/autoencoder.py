"""Encoder and decoder of the autoencoders of the literature on numpy; FORMAT.md, 14, says what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caecodec.engines.numpy.layers import Float, Weights, double, pool, pool_with_places, sigmoid, unpool
from caecodec.engines.tables import of_autoencoder
from caecodec.errors import LimitError, ModelError, Remedy, UsageError
from caecodec.pictures.picture import Pixels
from caecodec.tune import QUALITIES
from caecodec.zoo.file import Model

Places = list[NDArray[np.uint8]]  # of each unpooling (P, h, w, C), outermost first
Layer = Callable[[Float], Float]
TOGETHER = 64  # pictures; more would only leave the cache


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind takes and gives. picture, latent: (height, width, channels); latent's channels 0: any."""

    picture: tuple[int, int, int]
    latent: tuple[int, int, int]
    make: Callable[[Weights, int], Network]
    cells: tuple[tuple[int, int, int], ...] = ()  # (h, w, C) of each unpooling, outermost first


class Network:
    """Layers after layers. `encoder` takes samples in [0, 1], what `decoder` gives is before the sigmoid."""

    def __init__(self, encoder: Sequence[Layer], decoder: Sequence[Layer]) -> None:
        self._encoder, self._decoder = encoder, decoder

    def encode(self, x: Float) -> tuple[Float, Places]:
        """x -> y, and the places of maxima where they are sent."""
        return _through(self._encoder, x), []

    def decode(self, y: Float, places: Places) -> Float:
        """y and places, none for those in the upper left -> x before the sigmoid."""
        return _through(self._decoder, y)


def _through(layers: Sequence[Layer], x: Float) -> Float:
    for layer in layers:
        x = layer(x)
    return x


class Mnist(Network):
    """Max-unpooling puts every value back where it came from, or to the upper left of its cell."""

    def __init__(self, t: Weights, _: int) -> None:
        self._conv1 = t.conv("network.conv1", 1, 8, norm="network.norm1", relu=True)
        self._conv2 = t.conv("network.conv2", 8, 4, norm="network.norm2", relu=True)
        self._up2 = t.up("network.up2", 4, 8, norm="network.norm3", relu=True)
        self._up1 = t.up("network.up1", 8, 1)

    def encode(self, x: Float) -> tuple[Float, Places]:
        """See `Network`."""
        inside, outer = pool_with_places(self._conv1(x))
        y, inner = pool_with_places(self._conv2(inside))
        return y, [outer, inner]

    def decode(self, y: Float, places: Places) -> Float:
        """See `Network`."""
        outer, inner = places or (np.zeros(1, np.uint8), np.zeros(1, np.uint8))
        return self._up1(unpool(self._up2(unpool(y, inner)), outer))


def _cifar10(t: Weights, _: int) -> Network:
    down: list[Layer] = [t.conv("network.encoder.0", 3, 64, norm="network.encoder.1", relu=True)]
    for at, c in ((3, 64), (7, 128), (11, 256)):
        down += [t.conv(f"network.encoder.{at}", c, 2 * c, norm=f"network.encoder.{at + 1}", relu=True), pool]
    up: list[Layer] = [
        t.up2(f"network.decoder.{at}", c, c // 2, norm=f"network.decoder.{at + 1}", relu=True)
        for at, c in ((0, 512), (3, 256), (6, 128))
    ]
    return Network(down, [*up, t.conv("network.decoder.9", 64, 3)])


def _cifar100(t: Weights, units: int) -> Network:
    down: list[Layer] = []
    for at, c_in, c_out in ((0, 3, 64), (4, 64, 128), (8, 128, 256)):
        norm = f"network.encoder.{at + 1}"
        down += [t.conv(f"network.encoder.{at}", c_in, c_out, norm=norm, relu=True), pool]
    up: list[Layer] = [t.unflat("network.decoder.1", units, (4, 4, 256), relu=True)]
    for at, c_in, c_out in ((4, 256, 256), (8, 256, 128), (12, 128, 64)):
        norm = f"network.decoder.{at + 1}"
        up += [t.up(f"network.decoder.{at}", c_in, c_out, norm=norm, relu=True), double]
    flat = t.flat("network.encoder.13", (4, 4, 256), units)
    return Network([*down, flat], [*up, t.up("network.decoder.16", 64, 3)])


def _cifar10_dense(t: Weights, units: int) -> Network:
    down: list[Layer] = [
        *(t.conv("network.encoder.0", 3, 32, relu=True), pool),
        *(t.conv("network.encoder.3", 32, 64, relu=True), pool),
        t.flat("network.encoder.7", (8, 8, 64), units),
    ]
    up: list[Layer] = [
        t.unflat("network.decoder.1", units, (8, 8, 64), relu=True),
        t.up2("network.decoder.4", 64, 32, relu=True),
        t.up2("network.decoder.6", 32, 3),
    ]
    return Network(down, up)


def _fashion_mnist(t: Weights, _: int) -> Network:
    down: list[Layer] = []
    up: list[Layer] = []
    for at, c_in, c_out in ((0, 1, 32), (3, 32, 16), (6, 16, 8)):
        down += [t.conv(f"network.encoder.{at}", c_in, c_out, relu=True), pool]
    for at, c_in, c_out, border in ((0, 8, 8, 1), (3, 8, 16, 1), (6, 16, 32, 0)):  # without a border 16 -> 14
        up += [t.conv(f"network.decoder.{at}", c_in, c_out, relu=True, border=border), double]
    return Network(down, [*up, t.conv("network.decoder.9", 32, 1)])


KINDS = {
    "cifar10": Kind((32, 32, 3), (4, 4, 512), _cifar10),
    "cifar100": Kind((32, 32, 3), (1, 1, 0), _cifar100),
    "cifar10-dense": Kind((32, 32, 3), (1, 1, 0), _cifar10_dense),
    "fashion-mnist": Kind((28, 28, 1), (4, 4, 8), _fashion_mnist),
    "mnist": Kind((28, 28, 1), (7, 7, 4), Mnist, ((14, 14, 8), (7, 7, 4))),
}


class NumpyAutoencoderEngine:
    """See `caecodec.engines.protocol.AutoencoderEngine`."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        """Raises UsageError for a device or a precision that numpy does not have, ModelError."""
        expect_plain(device, precision)
        weights, config = Weights(model.tensors), model.info.config
        name = str(config["kind"])
        if name not in KINDS:
            raise ModelError(f"unknown kind {name!r}; known are {', '.join(sorted(KINDS))}")
        kind = KINDS[name]
        coded, inside = model.tensors["turn.weight"].shape[:2]
        h, w, channels = kind.latent
        channels = channels or inside
        self.network = kind.make(weights, channels)
        self._turn = weights.point("turn", channels, coded)
        self._turn_back = weights.point("turn_back", coded, channels)
        names = of_autoencoder(model.tensors)
        self._tables = {name: weights.get(f"float.{name}", QUALITIES, coded) for name in names}
        self._cells = kind.cells if config.get("unpool", "indices") == "indices" else ()
        height, width, colours = kind.picture
        self.picture = (colours, height, width)
        self.latent = (coded, h, w)
        self.places = sum(rows * columns * c for rows, columns, c in self._cells)

    def analyse(self, pixels: Pixels) -> tuple[Float, NDArray[np.uint8]]:
        """See `AutoencoderEngine`."""
        channels, rows, columns = self.latent
        y = np.empty((len(pixels), rows, columns, channels), np.float32)
        flat = np.empty((len(pixels), self.places), np.uint8)
        with _quiet():
            for some in _parts(len(pixels)):
                made, places = self.network.encode(pixels[some].astype(np.float32) / np.float32(255))
                y[some] = self._turn(made)
                if self._cells:
                    flat[some] = np.concatenate([p.reshape(len(p), -1) for p in places], axis=1)
        return y, flat

    def row(self, name: str, quality: int) -> Float:
        """See `AutoencoderEngine`."""
        found: Float = self._tables[name][quality - 1]
        return found

    def synthesise(self, symbols: NDArray[np.int32], places: NDArray[np.int32], quality: int) -> Pixels:
        """See `AutoencoderEngine`."""
        channels, height, width = self.picture
        pixels = np.empty((len(symbols), height, width, channels), np.uint8)
        offset, gain = self.row("offset", quality), self.row("gain_out", quality)
        with _quiet():
            for some in _parts(len(symbols)):
                y = self._turn_back((symbols[some].astype(np.float32) + offset) * gain)
                x = sigmoid(self.network.decode(y, self._of_cells(places[some])))
                pixels[some] = np.clip(np.floor(x * 255 + np.float32(0.5)), 0, 255)
        return pixels

    def _of_cells(self, places: NDArray[np.int32]) -> Places:
        found, start = [], 0
        for h, w, c in self._cells:
            found.append(places[:, start : start + h * w * c].reshape(-1, h, w, c).astype(np.uint8))
            start += h * w * c
        return found


def expect_plain(device: str, precision: str) -> None:
    """Raise UsageError for a device or a precision that only torch has."""
    if device == "cuda":
        raise UsageError("CUDA needs torch (caecodec[torch])", Remedy("use device='cpu'", "use --device cpu"))
    if device not in ("auto", "cpu"):
        raise UsageError(f"unknown device {device!r}: choose auto, cpu or cuda")
    if precision == "bfloat16":
        raise UsageError("bfloat16 needs torch (caecodec[torch])")
    if precision not in ("auto", "float32"):
        raise UsageError(f"unknown precision {precision!r}: choose auto, float32, bfloat16")


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + TOGETHER) for start in range(0, count, TOGETHER))


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, numbers that a hostile model makes overflow go on as they are, and no memory left is a LimitError."""
    try:
        with np.errstate(all="ignore"):
            yield
    except MemoryError as exc:
        raise LimitError("out of memory") from exc
