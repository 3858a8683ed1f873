"""Tiny pictures, codecs and results of them, made up for the tests of `bench small` and `bench latents`."""

from __future__ import annotations

import importlib.util
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from caecodec.bench.small.results import SmallResults, SmallRow
from caecodec.bench.small.search import Meter
from caecodec.errors import InputImageError
from caecodec.format import container
from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel
from caecodec.pictures.picture import Picture

ID = b"\1\2\3\4"
SHAPES = {"cifar10": (32, 32, 3), "mnist": (28, 28)}
RECIPE = 'name = "mnist"\n[model]\nfamily = "autoencoder"\n'
needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sklearn", "matplotlib")),
    reason="scikit-learn or matplotlib is not installed: caecodec[bench]",
)


def digits(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (P, 28, 28) of three classes, sorted as folders are: a bright bar at a height of its own."""
    random = np.random.default_rng(seed)
    labels = np.sort(np.arange(count) % 3).astype(np.uint8)
    pictures = random.integers(0, 40, (count, 28, 28), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[4 + 8 * label : 8 + 8 * label] = 220
    return pictures, labels


class Halves:
    """Stands for a codec: y is the mean of each 4x4 cell."""

    model = SimpleNamespace(info=SimpleNamespace(name="mnist-fixed", id=b"\1\2\3\4"))

    def check(self, picture: Picture) -> None:
        if (picture.width, picture.height) != (28, 28) or not picture.gray:
            raise InputImageError("mnist-fixed takes gray pictures of 28x28 pixels")

    def features(self, pictures: list[Picture]) -> list[NDArray[np.float32]]:
        return [p.colour.reshape(7, 4, 7, 4).mean((1, 3))[..., None].astype(np.float32) for p in pictures]


def checkpoint(path: Path, without: str | None = "middle", form: str = "drawn") -> Path:
    """Of an untrained autoencoder."""
    torch.manual_seed(0)
    config = AutoencoderConfig("mnist", form=form)
    state = {"recipe": RECIPE, "config": config.to_dict(), "ema": AutoencoderModel(config).state_dict()}
    torch.save(state if without is None else state | {"without": without}, path)
    return path


def is_drawn(path: Path) -> bool:
    """Whether a picture is there with more on it than its background."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return image.format == "PNG" and np.asarray(image.convert("L")).std() > 1


class Dropping:
    """A codec whose samples are coarser at lower qualities, with streams of 10 bytes a quality."""

    qualities = (1, 10, 50, 100)
    strip = None
    batch = 8

    def __init__(self, name: str) -> None:
        self.name = name
        self.pictures: list[Picture] = []
        self.model = SimpleNamespace(info=SimpleNamespace(id=ID))

    def encode_many(self, pictures: list[Picture], quality: int) -> list[bytes]:
        first = len(self.pictures)
        self.pictures += pictures
        numbers = range(first, first + len(pictures))
        streams = [n.to_bytes(4, "little") + b"\1" * (10 * quality - 4) for n in numbers]
        return [
            container.serialize(container.Container(p.width, p.height, quality, ID, (s,), p.gray))
            for p, s in zip(pictures, streams, strict=True)
        ]

    def decode_many(self, parsed: list[container.Container]) -> list[Picture]:
        decoded = []
        for one in parsed:
            colour = self.pictures[int.from_bytes(one.tiles[0][:4], "little")].colour
            step = max(1, (101 - one.quality) // 2)
            decoded.append(Picture((colour // step * step).astype(np.uint8)))
        return decoded


def row(kind: str, codec: str, quality: int, size: float, psnr: float, **more: float) -> SmallRow:
    return SmallRow(kind, codec, "cifar10", 10, psnr, 0.0016, 0.9, quality, size, **more)


def made() -> SmallResults:
    """Results by hand: JPEG doubles its bytes every 6 dB from 24 dB and 600 bytes, tiny from 50."""
    results = SmallResults(
        sets={"cifar10": {"pictures": 10, "curve_pictures": 5, "shape": [32, 32, 3]}}, codecs={"tiny": "model 00"}
    )
    for step, quality in enumerate((10, 50, 90)):
        results.rows.append(row("curve", "jpeg", quality, 600 * 2**step, 24 + 6 * step, stripped=100 * 2**step))
        results.rows.append(row("curve", "tiny", quality, 50 * 2**step, 24 + 6 * step))
    results.rows += [
        row("operating", "cifar10", 42, 153.6, 27.0, asked_psnr=27.7),
        replace(row("drawn", "cifar10", 0, 32768, 28.0), quality=None),
        row("asked", "tiny", 33, 99.5, 29.9, asked_bytes=100.0),
        row("asked", "tiny", 100, 200.0, 36.5, asked_psnr=38.0),
    ]
    return results


def meter(psnr_at_1: float, asked: list[int] | None = None) -> Meter:
    """PSNR rises by 0.2 dB, bytes by 5 a quality."""

    def at(quality: int) -> SmallRow:
        if asked is not None:
            asked.append(quality)
        return row("curve", "tiny", quality, 20 + 5 * quality, psnr_at_1 + 0.2 * (quality - 1))

    return Meter(at, (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100))
