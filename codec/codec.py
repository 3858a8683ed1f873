"""Models as codecs: by name, by id, and by what a file says."""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from caecodec import container, pixels
from caecodec.base import Codec, Progress, no_progress
from caecodec.container import LOSSLESS_ID, Container
from caecodec.errors import CaecodecError, ModelError
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.lossless import NAME, LosslessCodec
from caecodec.models import zoo
from caecodec.pixels import Picture

_WAITING = "OMP_WAIT_POLICY"
Maker = Callable[[zoo.Model, str, str], Codec]


def _load_torch() -> None:
    """Import torch such that its threads sleep while they wait, unless OMP_WAIT_POLICY or an earlier import decides.

    Threads that spin are a fifth faster on an idle machine. But two decoders that spin on the same cores keep them from
    each other: 2.8 seconds for a picture that takes 0.06 alone and 0.09 each when they sleep.
    """
    if "torch" in sys.modules or _WAITING in os.environ:
        return
    os.environ[_WAITING] = "PASSIVE"  # OpenMP reads it when it is loaded
    try:
        import torch  # noqa: F401
    finally:
        del os.environ[_WAITING]


# their modules import torch, which a lossless file does without
def _photo() -> Maker:
    _load_torch()
    from caecodec.photo import PhotoCodec

    return PhotoCodec


def _autoencoder() -> Maker:
    _load_torch()
    from caecodec.small import AutoencoderCodec

    return AutoencoderCodec


def _tiny() -> Maker:
    _load_torch()
    from caecodec.small import TinyCodec

    return TinyCodec


FAMILIES: dict[str, Callable[[], Maker]] = {"photo": _photo, "autoencoder": _autoencoder, "tiny": _tiny}


@functools.lru_cache(maxsize=2)
def _open(info: zoo.ModelInfo, device: str, precision: str) -> Codec:
    model = zoo.load(str(info.path))
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
    return _open(zoo.find(model), device, precision)


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
        pixels.decompress(alpha, parsed.width, parsed.height, True, "the alpha section")
    return parsed


def packed(arrays: Mapping[str, object], names: Sequence[str]) -> bytes:
    """Arrays, and the names of the pictures they are of -> the bytes of an .npz file."""
    stream = io.BytesIO()
    every: dict[str, Any] = {"names": np.array(names)} | {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(stream, **every)
    return stream.getvalue()
