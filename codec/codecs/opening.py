"""Models as codecs: by name, by id, and by what a file says."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from caecodec.codecs.codec import Codec, Progress, no_progress
from caecodec.codecs.lossless import NAME, LosslessCodec
from caecodec.engines.torch import start
from caecodec.errors import CaecodecError, ModelError
from caecodec.format import container
from caecodec.format.container import LOSSLESS_ID, Container
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures import picture
from caecodec.pictures.picture import Picture
from caecodec.zoo import find

Maker = Callable[[find.Model, str, str], Codec]


# their modules import torch, which a lossless file does without
def _photo() -> Maker:
    start.load()
    from caecodec.codecs.photo import PhotoCodec

    return PhotoCodec


def _autoencoder() -> Maker:
    start.load()
    from caecodec.codecs.small import AutoencoderCodec

    return AutoencoderCodec


def _tiny() -> Maker:
    start.load()
    from caecodec.codecs.small import TinyCodec

    return TinyCodec


FAMILIES: dict[str, Callable[[], Maker]] = {"photo": _photo, "autoencoder": _autoencoder, "tiny": _tiny}


@functools.lru_cache(maxsize=2)
def _open(info: find.ModelInfo, device: str, precision: str) -> Codec:
    model = find.load(str(info.path))
    if model.info.family not in FAMILIES:
        raise ModelError(f"{info.path}: model family {model.info.family!r} needs a newer caecodec")
    try:
        return FAMILIES[model.info.family]()(model, device, precision)
    except CaecodecError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as exc:
        raise ModelError(f"{info.path}: not a whole model of family {model.info.family} ({exc})") from exc


def open_codec(model: str | bytes | None = None, device: str = "auto", precision: str = "auto") -> Codec:
    """The codec of a model by name, id or path, kept for the next call; 'lossless' has no model. Raises ModelError."""
    if model in (NAME, LOSSLESS_ID):
        return LosslessCodec()
    return _open(find.find(model), device, precision)


def decode(
    data: bytes,
    device: str = "auto",
    precision: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = no_progress,
) -> Picture:
    """The bytes of a .cae file -> Picture."""
    parsed = container.parse(data, limits)
    return open_codec(parsed.model_id, device, precision).decode(parsed, progress)


def verify(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Container:
    """Check everything a file promises short of its pixels: checksums, and that latents decode to their check."""
    parsed = container.parse(data, limits)
    for _ in open_codec(parsed.model_id).decode_latents(parsed):
        pass
    if container.TAG_ALPHA in parsed.sections:
        alpha = parsed.sections[container.TAG_ALPHA]
        picture.decompress(alpha, parsed.width, parsed.height, True, "the alpha section")
    return parsed


def packed(arrays: Mapping[str, object], names: Sequence[str]) -> bytes:
    """Arrays, and the names of the pictures they are of -> the bytes of an .npz file."""
    stream = io.BytesIO()
    every: dict[str, Any] = {"names": np.array(names)} | {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(stream, **every)
    return stream.getvalue()
