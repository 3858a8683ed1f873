"""Tiles as they are to be coded at one quality: rounded as an effort says, or chosen again in rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from caecodec.codecs import tiling
from caecodec.codecs.autoencoder import Analysed as DrawnAnalysed
from caecodec.codecs.autoencoder import AutoencoderCodec
from caecodec.codecs.codec import Codec, Progress
from caecodec.codecs.photo import Analysed, PhotoCodec
from caecodec.codecs.tiny import Analysed as SmallAnalysed
from caecodec.codecs.tiny import TinyCodec
from caecodec.engines.protocol import Refinement
from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.format.container import tile_grid
from caecodec.models.networks.trade import Trade
from caecodec.pictures import cells
from caecodec.pictures.picture import Picture, Pixels
from caecodec.search.effort import Effort
from caecodec.search.rounds import chosen_again

Analysis = TypeVar("Analysis")

_FEWEST_STEPS, _STEPS_A_ROUND = 8, 2  # of descent, which has more steps than others have rounds: each moves y by less


def ready(codec: Codec, tile: Any, effort: Effort) -> Any:
    """Analysed tile -> what an effort makes of it at once, at any quality."""
    return codec.ready(tile, RDO_STRENGTH if effort.work.weighs else 0.0, effort.tune)


def can_search(codec: Codec, effort: Effort) -> bool:
    """Whether an effort chooses symbols again: with models of photographs, `tiny`, and autoencoders with a context."""
    able = isinstance(codec, PhotoCodec | TinyCodec) or (isinstance(codec, AutoencoderCodec) and codec.searches)
    return able and effort.work.rounds > 0


def looks_first(codec: Codec, effort: Effort) -> bool:
    """Whether a picture is first coded without a search, to see if it is better kept losslessly: before a long one."""
    return can_search(codec, effort) and effort.work.rounds > 1


def improved(
    codec: Codec, picture: Picture, tiles: Iterable[Any], quality: int, progress: Progress, effort: Effort
) -> Iterator[Any]:
    """Analysed tiles -> tiles to be coded at one quality, with what `effort` allows to improve them."""
    rows, columns = tile_grid(picture.width, picture.height)
    count = rows * columns
    for number, tile in enumerate(tiles):

        def share(of_tile: float, number: int = number) -> bool:
            progress((number + of_tile) / count)
            return not effort.stop()

        rounded = ready(codec, tile, effort)
        if can_search(codec, effort) and share(0):
            if isinstance(codec, PhotoCodec):
                rounded = _searched(codec, picture, rounded, quality, effort.work.rounds, share)
            elif isinstance(codec, TinyCodec):
                rounded = _searched_small(codec, picture, rounded, quality, effort.work.rounds, share)
            elif isinstance(codec, AutoencoderCodec):
                rounded = _descended(codec, picture, rounded, quality, effort.work.rounds, share)
        yield rounded
        progress((number + 1) / count)


def _searched(
    codec: PhotoCodec, picture: Picture, tile: Analysed, quality: int, rounds: int, go_on: Callable[[float], bool]
) -> Analysed:
    """The best that was found of a tile, by R + lambda D as it would be coded; itself where nothing is better.

    What a single round finds is taken as the trial sees it: to code both would take as long as the round.
    """
    pixels = tiling.cut(picture.colour, tile.tile.region)
    worth = codec.trade(quality, tile.tune).searched(rounds)
    # a decoder sees the neighbours of a tile and this does not: leave what reaches across the border
    fixed = tiling.border(tile.tile, codec.engine.halo_out, cells.count(picture.width, picture.height))
    strength = worth.strength(tile.strength, tile.activity)
    refinement = Refinement(pixels, tile.y, tile.z, quality, worth, strength, fixed)
    trial, gain = codec.engine.trial(refinement, codec.tables), codec.engine.row("gain", quality)
    wanted = chosen_again(trial, gain, refinement, rounds, go_on)
    if codec.is_dependent:
        # a single index that floats have otherwise is another path: it is looked for again
        found = replace(tile, y=wanted.target, searched=(wanted.strength, worth.weight))
    else:
        # these are the symbols themselves: nothing is left to weigh
        found = replace(tile, y=wanted.symbols, strength=0.0)
    if rounds == 1:
        return found
    return min(tile, found, key=lambda either: _cost(codec, pixels, either, quality, worth))


def _searched_small(
    codec: TinyCodec, picture: Picture, tile: SmallAnalysed, quality: int, rounds: int, go_on: Callable[[float], bool]
) -> SmallAnalysed:
    """The same of a small picture."""
    pixels = cells.filled(picture.pixels, cells.TINY_CELL)
    (y,) = tile.y
    fixed, worth = np.zeros(y.shape[:2], bool), codec.worth(quality)
    refinement = Refinement(pixels, y, None, quality, worth, RDO_STRENGTH, fixed, tile.gray)
    gain = codec.engine.row("gain", quality)
    y = chosen_again(codec.trial(refinement), gain, refinement, rounds, go_on).symbols
    return _better(codec, picture, quality, worth, tile, replace(tile, y=y[None], weighs=False))


def _descended(
    codec: AutoencoderCodec,
    picture: Picture,
    tile: DrawnAnalysed,
    quality: int,
    rounds: int,
    go_on: Callable[[float], bool],
) -> DrawnAnalysed:
    """The same of a picture of an autoencoder."""
    found = codec.descended(tile, quality, _FEWEST_STEPS + _STEPS_A_ROUND * rounds, go_on)
    return _better(codec, picture, quality, codec.worth(quality), tile, found)


def _better(codec: Codec, picture: Picture, quality: int, worth: Trade, *either: Analysis) -> Analysis:
    """The tile whose file costs least, the errors of all of a picture included."""

    def cost(tile: Analysis) -> float:
        size_bytes, latents = codec.cost_tile(tile, quality)
        shown = codec.synthesise(picture.width, picture.height, picture.gray, quality, iter([latents]))
        return 8 * size_bytes + worth.cost(picture.pixels, shown)

    return min(either, key=cost)


def _cost(codec: PhotoCodec, pixels: Pixels, tile: Analysed, quality: int, worth: Trade) -> float:
    """What a tile costs, in bits: its own and those that its errors are worth."""
    size_bytes, latents = codec.cost_tile(tile, quality)
    decoded = codec.engine.synthesise(latents, quality)
    return 8 * size_bytes + worth.cost(pixels, decoded)
