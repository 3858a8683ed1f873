"""caecodec as a codec of the benchmark; its model, effort and tune are in its name: caecodec:MODEL@EFFORT@psnr."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

import caecodec
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.pictures import Pixels
from caecodec.tune import Tune
from caecodec.zoo import find

_GRID = (1, 8, 15, 22, 30, 38, 46, 54, 62, 70, 78, 86, 93, 100)
_NAME = re.compile(r"caecodec(?::(?P<model>[^@]+))?(?:@(?P<effort>[1-9]))?(?:@(?P<tune>psnr))?")


@dataclass(frozen=True, slots=True)
class CaecodecCodec:
    """By the public API of caecodec; `model` None is the default model."""

    name: str
    version: str
    qualities: tuple[int, ...] = _GRID
    model: str | None = None
    effort: int = 2
    tune: Tune = "eye"
    extension: str = "cae"

    def encode(self, array: Pixels, quality: int) -> bytes:
        return caecodec.encode(array, quality, model=self.model, effort=self.effort, tune=self.tune)

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(caecodec.decode(data).convert("RGB"))


def of_caecodec(name: str) -> bool:
    """Whether a name stands for caecodec with some model, effort and tune."""
    return _NAME.fullmatch(name) is not None


def open_caecodec(name: str) -> BenchCodec:
    """Of a name that is `of_caecodec`. Raises ModelError where there is no such model."""
    asked = _NAME.fullmatch(name)
    assert asked is not None
    found = find.find(asked["model"])
    effort = int(asked["effort"] or 2)
    tune: Tune = "psnr" if asked["tune"] else "eye"
    version = f"{caecodec.__version__}, model {found.name} {found.id.hex()}"
    return CaecodecCodec(name, version, model=asked["model"], effort=effort, tune=tune)


def options_of_caecodec(name: str) -> tuple[str, ...] | None:
    """What `caecodec encode` takes for a name of caecodec with some model and effort; None for other codecs."""
    asked = _NAME.fullmatch(name)
    if asked is None:
        return None
    return tuple(part for key in ("model", "effort", "tune") if asked[key] for part in (f"--{key}", asked[key]))


def effort_of(name: str) -> tuple[int, Tune] | None:
    """Effort and tune of the default model: 'caecodec@5@psnr' -> 5, 'psnr'; None for other codecs and models."""
    asked = _NAME.fullmatch(name)
    if asked is None or asked["model"]:
        return None
    return int(asked["effort"] or 2), "psnr" if asked["tune"] else "eye"
