"""What an encoder measures errors with: a word that commands, codecs and the search share.

A model of photographs may have two hundred rows of tables. The first hundred, one for each quality, are made for the
eye; the others for PSNR. A file says which row it was coded with, and a decoder needs to know no more.
"""

from __future__ import annotations

from typing import Literal, get_args

Tune = Literal["eye", "psnr"]  # errors as people see them, or squared errors alone
TUNES: tuple[Tune, ...] = get_args(Tune)
QUALITIES = 100  # from 1 on


def row(quality: int, tune: Tune, rows: int) -> int:
    """The row, from 1 on, for quality 1..100 of a model that has so many."""
    return quality + QUALITIES if tune == "psnr" and rows > QUALITIES else quality


def quality_of(row: int) -> int:
    """The quality, 1..100, that a row is of."""
    return (row - 1) % QUALITIES + 1


def tune_of(row: int) -> Tune:
    """What a row's tables are made for; of a model with one hundred rows all are for the eye."""
    return "psnr" if row > QUALITIES else "eye"
