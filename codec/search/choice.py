"""One picture -> its file: coded by a model with the effort asked for, or losslessly where that is the better trade."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from caecodec.codecs import tiling
from caecodec.codecs.codec import Codec, Progress, check_quality, no_progress, sections_of
from caecodec.codecs.lossless import QUALITY, LosslessCodec
from caecodec.format import container
from caecodec.limits import UNLIMITED
from caecodec.models.networks.trade import Trade
from caecodec.pictures.cells import CELL
from caecodec.pictures.picture import Picture
from caecodec.pictures.view import View
from caecodec.search import improve
from caecodec.search.effort import DEFAULT_EFFORT, Effort
from caecodec.search.preview import with_preview
from caecodec.stages import stage

# A sample of rows, their differences deflated, estimates the size of a lossless file: real ones take 0.3 to 0.8 of it
# on photographs. Worth a try up to five times what a network's file takes (distortion is worth about as much as rate),
# and where neighbours are so far apart that a network gives a poor picture (of 195 photographs one reached 28).
_EVERY = 8
_TIMES = 5
_FLAT_BPP = 0.25
_ROUGH = 28.0
_AT_ONCE = 64  # rows of the sample: copies of all of a large picture would be as large as its tiles
_WHOLE = 1 << 24  # pixels; measuring SSIMULACRA2 takes 50 bytes for each
_SAMPLE = 16  # tiles of a larger picture
_GOLDEN = (5**0.5 - 1) / 2


@stage("lossless look")
def promising(picture: Picture, size_bytes: int) -> bool:
    """Whether a lossless file may be the better trade than a lossy one of this size. Some 10 ms a megapixel."""
    deflate = zlib.compressobj(1)
    deflated, distance = 0, 0
    for top in range(0, picture.height, _EVERY * _AT_ONCE):
        band = picture.colour[top : top + _EVERY * _AT_ONCE : _EVERY]
        differences = np.array(band, order="C")
        differences[:, 1:] -= band[:, :-1]
        deflated += len(deflate.compress(differences.data))
        distance += int(np.abs(differences[:, 1:].view(np.int8).astype(np.int16)).sum(dtype=np.int64))
    deflated += len(deflate.flush())
    count = -(-picture.height // _EVERY)
    estimate = deflated * picture.height / count
    if 8 * (estimate - _TIMES * size_bytes) <= _FLAT_BPP * picture.width * picture.height:
        return True
    pairs = count * (picture.width - 1) * (1 if picture.gray else 3)
    return bool(pairs and distance / pairs >= _ROUGH)


def encode(
    codec: Codec,
    picture: Picture,
    quality: int,
    progress: Progress = no_progress,
    effort: Effort = DEFAULT_EFFORT,
    *,
    preview: bool = False,
) -> bytes:
    """Picture -> the bytes of a .cae file, a lossless one where that is the better trade at this quality.

    preview: add a small picture to that of a large one. Raises UsageError for a quality outside 1..100,
    InputImageError, LimitError.
    """
    data = _chosen(codec, picture, quality, progress, effort)
    return with_preview(codec, picture, data) if preview else data


def _chosen(codec: Codec, picture: Picture, quality: int, progress: Progress, effort: Effort) -> bytes:
    if codec.exact:
        return codec.encode(picture, quality, progress)
    check_quality(quality)
    # minutes of searching begin once it is known that the picture is not better kept losslessly
    searches, trade = improve.looks_first(codec, effort), codec.trade(codec.row(quality, effort.tune), effort.tune)
    if searches and trade is None:  # nothing says when a lossless file would be better
        return lossy(codec, picture, quality, progress, effort)
    quick = replace(effort, level=DEFAULT_EFFORT.level) if searches else effort
    data = lossy(codec, picture, quality, no_progress if searches else progress, quick)
    if trade is not None and promising(picture, len(data)):
        data = _better(codec, picture, data, trade)
    if not searches or container.is_lossless(data):
        return data
    return lossy(codec, picture, quality, progress, effort)


def lossy(
    codec: Codec,
    picture: Picture,
    quality: int,
    progress: Progress = no_progress,
    effort: Effort = DEFAULT_EFFORT,
) -> bytes:
    """The file that the model makes, whatever a lossless one would be."""
    row = codec.row(quality, effort.tune)
    tiles = improve.improved(codec, picture, codec.analyse(picture), row, progress, effort)
    streams = [codec.code_tile(tile, row)[0] for tile in tiles]
    return codec.wrap(picture, row, streams, sections_of(picture))


def _better(codec: Codec, picture: Picture, data: bytes, trade: Trade) -> bytes:
    """Of two files the one with less R + lambda D; the lossless one has D = 0 and any R, and is given up where R is
    too much.
    """
    exact, streams = LosslessCodec(), []
    left, measured = float(len(data)), False
    for tile in exact.analyse(picture):
        streams.append(exact.code_tile(tile)[0])
        left -= len(streams[-1])
        if left < 0 and not measured:  # larger than the lossy one: it may be, by what that one's errors are worth
            left, measured = left + _worth(codec, picture, data, trade) / 8, True
        if left < 0:
            return data
    return exact.wrap(picture, QUALITY, streams, sections_of(picture))


def sampled(count: int) -> list[int]:
    """Some of so many tiles in raster order, spread over rows and columns: multiples of the golden ratio."""
    return sorted({int(k * _GOLDEN % 1 * count) for k in range(_SAMPLE)})


def _worth(codec: Codec, picture: Picture, data: bytes, trade: Trade) -> float:
    """Bits that the errors of a file are worth: of a large picture as a sample of its tiles tells."""
    parsed = container.parse(data, UNLIMITED)
    if picture.width * picture.height <= _WHOLE:
        return trade.cost(picture.pixels, codec.decode(parsed).pixels)
    tiles = list(tiling.tiles(picture.width, picture.height))
    bits, pixels = 0.0, 0
    for number in sampled(len(tiles)):
        tile = tiles[number]
        shown = tiling.inside(picture.colour, tile)
        left, top = tile.left * CELL, tile.top * CELL
        view = View((left, top, left + shown.shape[1], top + shown.shape[0]))
        bits += trade.cost(shown, np.concatenate(list(codec.bands(parsed, view))))
        pixels += shown.shape[0] * shown.shape[1]
    return bits * picture.width * picture.height / pixels
