"""Thumbnails of .cae files."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from caecodec.codecs import opening
from caecodec.errors import CaecodecError
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures import thumbnail
from caecodec.pictures.view import DIVISORS, View

_NEARLY = 1.1  # times smaller than the thumbnail would like: a tenth is seen by nobody


def made(data: bytes, side: int, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a .cae file -> a PNG of at most `side` pixels a side.

    Of the file's preview where that is large enough and sound. Else it is decoded as small as it may be: from 1/8 on
    most of the network is not needed. Raises CorruptFileError, LimitError, ModelError.
    """
    parsed = container.parse(data, limits)
    if container.TAG_PREVIEW in parsed.sections:
        with contextlib.suppress(CaecodecError):
            inner = container.parse(parsed.sections[container.TAG_PREVIEW], limits)
            if max(inner.width, inner.height) * _NEARLY >= side:
                # its profile, and how it is turned
                beside = {tag: parsed.sections[tag] for tag in container.METADATA if tag in parsed.sections}
                return _shown(replace(inner, sections=beside), side, limits)
    return _shown(parsed, side, limits)


def _shown(parsed: Container, side: int, limits: Limits) -> bytes:
    largest = max(parsed.width, parsed.height) * _NEARLY
    divisor = max(d for d in DIVISORS if d == 1 or largest >= d * side)
    codec = opening.open_codec(parsed.model_id)
    return thumbnail.png(opening.rows_held(parsed, codec, View(None, divisor), limits).picture(), side)
