"""Models as codecs: by name, by id, and by what a file says."""

from __future__ import annotations

import functools
import importlib

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs.codec import Codec, Progress, alpha_of, no_progress
from caecodec.codecs.lossless import NAME, LosslessCodec
from caecodec.engines.opening import whole
from caecodec.errors import ModelError
from caecodec.format import container
from caecodec.format.container import LOSSLESS_ID, TILE, Container
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures.picture import Picture
from caecodec.pictures.rows import Rows
from caecodec.pictures.view import View
from caecodec.zoo import find
from caecodec.zoo.families import FAMILIES
from caecodec.zoo.file import ModelInfo


@functools.lru_cache(maxsize=2)
def _open(info: ModelInfo, device: str, precision: str, engine: str) -> Codec:
    model = find.load(str(info.path))
    name = model.info.family
    if name not in FAMILIES:
        raise ModelError(f"{info.path}: model family {name!r} needs a newer caecodec")
    made = getattr(importlib.import_module(f"caecodec.codecs.{name}"), FAMILIES[name].codec)
    with whole(info):
        codec: Codec = made(model, device, precision, engine)
    return codec


def open_codec(
    model: str | bytes | None = None, device: str = "auto", precision: str = "auto", engine: str = "auto"
) -> Codec:
    """The codec of a model by name, id or path, kept for the next call; 'lossless' has no model. Raises ModelError."""
    if model in (NAME, LOSSLESS_ID):
        return LosslessCodec()
    return _open(find.find(model), device, precision, engine)


def decode(
    data: bytes,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = no_progress,
) -> Picture:
    """The bytes of a .cae file -> Picture. Raises CorruptFileError, LimitError, ModelError."""
    parsed = container.parse(data, limits)
    check_held(parsed, limits)
    return open_codec(parsed.model_id, device, precision, engine).decode(parsed, progress)


def check_alpha(parsed: Container, limits: Limits) -> None:
    """Raise LimitError where the alpha of a file, which is always decoded whole, would take more than it may."""
    if container.TAG_ALPHA in parsed.sections:
        limits.check_alpha(parsed.width, parsed.height)


def check_held(parsed: Container, limits: Limits) -> None:
    """Raise LimitError where the whole picture would take more memory than it may."""
    check_alpha(parsed, limits)
    limits.check_decoding(parsed.width, parsed.height, alpha=container.TAG_ALPHA in parsed.sections)


def rows(parsed: Container, codec: Codec, view: View, limits: Limits, progress: Progress = no_progress) -> Rows:
    """`Codec.rows` within limits: alpha, which is decoded whole, and a band. Raises as `Codec.rows`, and LimitError."""
    check_alpha(parsed, limits)
    found = codec.rows(parsed, view, progress)
    wide = parsed.width if parsed.model_id == LOSSLESS_ID else found.width  # which makes a band before it is smaller
    limits.check_decoding(wide, min(found.height, TILE), alpha=False)
    return found


def rows_held(parsed: Container, codec: Codec, view: View, limits: Limits) -> Rows:
    """The same where all bands will be held at once."""
    found = rows(parsed, codec, view, limits)
    limits.check_decoding(found.width, found.height, alpha=found.channels in (2, 4))
    return found


def verify(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Container:
    """Check everything a file promises short of its pixels: checksums, and that latents decode to their check."""
    parsed = container.parse(data, limits)
    check_alpha(parsed, limits)
    for _ in open_codec(parsed.model_id).decode_latents(parsed):
        pass
    alpha_of(parsed)
    return parsed


def latents(data: bytes, model: str | None = None, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.float32]:
    """y of a file, see `Codec.latents_of`; of a lossless one what `model` sees in its pixels."""
    parsed = container.parse(data, limits)
    codec = open_codec(parsed.model_id)
    if parsed.model_id != LOSSLESS_ID:
        return codec.latents_of(parsed)
    check_held(parsed, limits)
    return open_codec(model).features([codec.decode(parsed)])[0]
