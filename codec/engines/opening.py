"""Which engine computes: the one on torch, imported when it is first asked for.

A codec asks when pixels are first needed; latents alone (`verify`, `bit_allocation`) need none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from caecodec.engines.torch import start
from caecodec.entropy.arithmetic import Arithmetic
from caecodec.errors import CaecodecError, ModelError
from caecodec.zoo.file import Model, ModelInfo

if TYPE_CHECKING:
    from caecodec.engines.protocol import AutoencoderEngine, PhotoEngine, TinyEngine


@contextmanager
def whole(info: ModelInfo) -> Iterator[None]:
    """Within, whatever a model's tensors lack is a ModelError that names its file."""
    try:
        yield
    except CaecodecError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as exc:
        raise ModelError(f"{info.path}: not a whole model of family {info.family} ({exc})") from exc


def arithmetic() -> Arithmetic:
    """Exact arithmetic on the threads of the engine: faster than numpy's, and not in its way."""
    start.load()
    from caecodec.engines.torch.arithmetic import TorchArithmetic

    return TorchArithmetic()


def photo(model: Model, device: str, precision: str) -> PhotoEngine:
    """Raises UsageError for a device or a precision that is not there, ModelError."""
    start.load()
    from caecodec.engines.torch.photo import TorchPhotoEngine

    with whole(model.info), start.undisturbed():
        return TorchPhotoEngine(model, device, precision)


def tiny(model: Model, device: str, precision: str) -> TinyEngine:
    """As `photo`."""
    start.load()
    from caecodec.engines.torch.tiny import TorchTinyEngine

    with whole(model.info), start.undisturbed():
        return TorchTinyEngine(model, device, precision)


def autoencoder(model: Model, device: str, precision: str) -> AutoencoderEngine:
    """As `photo`."""
    start.load()
    from caecodec.engines.torch.autoencoder import TorchAutoencoderEngine

    with whole(model.info), start.undisturbed():
        return TorchAutoencoderEngine(model, device, precision)
