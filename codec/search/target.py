"""Quality by target: the best quality that meets a size or a rate, the lowest that meets a PSNR or a SSIMULACRA2.

g_a and h_a run once; every guess reruns only the integer network (whose cost in bits is counted, not written) and, for
what is measured on pixels, g_s. Size and measures rise with quality, so a bisection over 1..100 takes seven guesses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from caecodec.codecs import lossless
from caecodec.codecs.codec import Codec, Progress, sections_of
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.limits import UNLIMITED
from caecodec.pictures import ssimulacra2
from caecodec.pictures.picture import Picture, Pixels, mse
from caecodec.pictures.pillow import WITHOUT_METADATA
from caecodec.search import choice, improve
from caecodec.search.effort import DEFAULT_EFFORT, Effort
from caecodec.tune import Tune

_TRIES = 4  # qualities at which latents are refined for one target


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for, one of them: `size` in bytes, `bpp` of the whole file in bits per pixel, at least so much
    `psnr` in dB, or at least so much `ssimulacra2` of 100.
    """

    size: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    ssimulacra2: float | None = None

    def __post_init__(self) -> None:
        values = [v for v in (self.size, self.bpp, self.psnr, self.ssimulacra2) if v is not None]
        if len(values) != 1:
            raise UsageError("give one of target size, target bpp, target PSNR and target SSIMULACRA2")
        if not math.isfinite(values[0]) or values[0] <= 0:
            raise UsageError(f"a target must be above zero, not {values[0]}")
        if self.ssimulacra2 is not None and self.ssimulacra2 > 100:
            raise UsageError(f"SSIMULACRA2 ends at 100, which is the same picture; {self.ssimulacra2:g} cannot be met")

    @property
    def wanted(self) -> float | None:
        """The least that the picture must measure; None for a target of bytes."""
        return self.psnr if self.psnr is not None else self.ssimulacra2

    def measure(self, original: Pixels, decoded: Pixels, tune: Tune = "eye") -> float:
        """What a decoded picture has of what is wanted; for a target of bytes, of what `tune` looks at.

        Raises UsageError.
        """
        if self.wanted is None:
            seen = tune == "eye" and min(original.shape[:2]) >= ssimulacra2.SMALLEST_SIDE
            return (ssimulacra2.score if seen else psnr)(original, decoded)
        if self.psnr is not None:
            return psnr(original, decoded)
        try:
            return ssimulacra2.score(original, decoded)
        except ValueError as exc:
            raise UsageError(f"no target SSIMULACRA2 for this picture: {exc}") from exc

    def budget(self, picture: Picture) -> int:
        """Bytes that a file may take, of a target of bytes."""
        if self.size is not None:
            return self.size
        assert self.bpp is not None
        return math.floor(self.bpp * picture.width * picture.height / 8)


@dataclass(frozen=True, slots=True)
class Found:
    """The file that meets the target, and its quality (100 where it is lossless)."""

    data: bytes
    quality: int


def psnr(a: Pixels, b: Pixels) -> float:
    """PSNR in dB of two uint8 pictures of one shape; inf where they are equal."""
    error = mse(a, b)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def highest(meets: Callable[[int], bool]) -> int:
    """The highest quality in 1..100 for which a falling predicate holds; 0 where none does."""
    low, high = 0, 100
    while low < high:
        middle = (low + high + 1) // 2
        if meets(middle):
            low = middle
        else:
            high = middle - 1
    return low


def encode_to_target(
    codec: Codec, picture: Picture, target: Target, progress: Progress, effort: Effort | None = None
) -> Found:
    """The best file that meets `target`. Raises UsageError, saying what was reachable, where none does.

    A lossless file is the best one where it fits the size, or is the smallest with the measure asked for.
    """
    effort = effort or DEFAULT_EFFORT
    found = _found(codec, picture, target, progress, effort)
    if effort.level <= DEFAULT_EFFORT.level or container.is_lossless(found.data):
        return found
    return _with_effort(codec, picture, target, found, progress, effort)


def _with_effort(
    codec: Codec, picture: Picture, target: Target, found: Found, progress: Progress, effort: Effort
) -> Found:
    """The best of `found` and what more effort makes at qualities near its own.

    At the same quality an improved file is a little larger or smaller, and shows more. Asked for a size, qualities are
    tried upwards while they fit; asked for a measure, downwards while they reach it; and where the first does not, one
    step the other way.
    """
    wanted = target.wanted
    step = 1 if wanted is None else -1
    best, best_value = found, -math.inf
    quality, turned = found.quality, False
    for tried in range(_TRIES):
        if not 1 <= quality <= 100 or (tried and effort.stop()):
            break
        data = choice.encode(codec, picture, quality, progress, effort)
        shown = _measured(codec, picture, data, target, effort)
        good = len(data) <= target.budget(picture) if wanted is None else shown >= wanted
        if tried == 0:
            best_value = _measured(codec, picture, found.data, target, effort) if wanted is None else -len(found.data)
        value = shown if wanted is None else -len(data)
        if good and value > best_value:
            best, best_value = Found(data, quality), value
        if turned or (tried and not good):
            break
        if not good:
            step, turned = -step, True
        quality += step
    return best


def _found(codec: Codec, picture: Picture, target: Target, progress: Progress, effort: Effort) -> Found:
    # more effort looks at few qualities, once these are known
    quick = replace(effort, level=min(effort.level, DEFAULT_EFFORT.level))

    def tiles() -> list[Any]:
        return [improve.ready(codec, tile, quick) for tile in codec.analyse(picture, progress)]

    if target.wanted is not None:
        found = _for_measure(codec, picture, tiles(), target, effort.tune)
        if found is not None and not choice.promising(picture, len(found.data)):
            return found
        exact = lossless.LosslessCodec().encode(picture)
        return found if found is not None and len(found.data) < len(exact) else Found(exact, lossless.QUALITY)
    budget = target.budget(picture)
    if choice.promising(picture, budget) and len(exact := lossless.LosslessCodec().encode(picture)) <= budget:
        return Found(exact, lossless.QUALITY)
    return _for_size(codec, picture, tiles(), budget, effort.tune)


def _measured(codec: Codec, picture: Picture, data: bytes, target: Target, effort: Effort) -> float:
    if container.is_lossless(data):
        return math.inf
    return target.measure(picture.pixels, codec.decode(container.parse(data, UNLIMITED)).pixels, effort.tune)


def _for_size(codec: Codec, picture: Picture, tiles: list[Any], budget: int, tune: Tune) -> Found:
    sections = sections_of(picture)  # compressing alpha once
    beside = len(codec.wrap(picture, 1, [b""] * len(tiles), sections))

    def fits(quality: int) -> bool:
        size = float(beside)
        for tile in tiles:
            size += codec.cost_tile(tile, codec.row(quality, tune))[0]
            if size > budget:
                return False
        return True

    def written(quality: int) -> bytes:
        row = codec.row(quality, tune)
        return codec.wrap(picture, row, [codec.code_tile(tile, row)[0] for tile in tiles], sections)

    # counted sizes are a few bytes off: go down to a written file that fits, or up while the next one does
    quality = max(1, highest(fits))
    data = written(quality)
    while len(data) > budget and quality > 1:
        quality -= 1
        data = written(quality)
    while quality < 100 and len(better := written(quality + 1)) <= budget:
        quality, data = quality + 1, better
    if len(data) <= budget:
        return Found(data, quality)
    smallest = len(data)
    remedy = WITHOUT_METADATA if picture.exif or picture.icc or picture.xmp else None
    raise UsageError(f"{budget} bytes cannot be met: quality 1 takes {smallest} bytes", remedy)


def _for_measure(codec: Codec, picture: Picture, tiles: list[Any], target: Target, tune: Tune) -> Found | None:
    assert target.wanted is not None
    wanted = target.wanted

    def too_low(quality: int) -> bool:
        row = codec.row(quality, tune)
        latents = (codec.cost_tile(tile, row)[1] for tile in tiles)
        colour = codec.synthesise(picture.width, picture.height, picture.gray, row, latents)
        return target.measure(picture.pixels, colour) < wanted

    quality = highest(too_low) + 1
    if quality > 100:
        return None
    row = codec.row(quality, tune)
    streams = [codec.code_tile(tile, row)[0] for tile in tiles]
    return Found(codec.wrap(picture, row, streams, sections_of(picture)), quality)
