"""Which engine computes, imported when it is first asked for.

A codec asks when pixels are first needed; latents alone (`verify`, `bit_allocation`) need none.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from caecodec.engines.torch import start
from caecodec.entropy.arithmetic import Arithmetic
from caecodec.errors import CaecodecError, ModelError, UsageError
from caecodec.zoo.file import Model, ModelInfo

if TYPE_CHECKING:
    from caecodec.engines.numpy.places import PlaceSearch
    from caecodec.engines.protocol import (
        AutoencoderEngine,
        PhotoEngine,
        PhotoLatents,
        Refinement,
        TinyEngine,
        TinyLatents,
        Trial,
    )
    from caecodec.engines.torch.autoencoder import TorchAutoencoderEngine
    from caecodec.engines.torch.descent import Descent


ENGINES = ("auto", "native", "numpy", "torch")


def chosen(engine: str, ready: Mapping[str, Callable[[], str]]) -> str:
    """The engine asked for, or of 'auto' the first that is ready. Raises UsageError.

    ready: the engines that a family has, best first, each with what says why it cannot run here, nothing if it can.
    """
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}: choose {', '.join(ENGINES)}")
    if engine != "auto" and engine not in ready:
        raise UsageError(f"there is no engine {engine!r} for this model: choose auto, {', '.join(ready)}")
    lacking = []
    for name in ready if engine == "auto" else (engine,):
        why_not = ready[name]()
        if not why_not:
            return name
        lacking.append(f"engine {name!r} cannot run here: {why_not}")
    raise UsageError("; ".join(lacking))


def always() -> str:
    """Of an engine that is ready everywhere."""
    return ""


def torch_lacks() -> str:
    """Why the engine on torch is not ready; torch is not imported."""
    try:
        found = importlib.util.find_spec("torch") is not None
    except ImportError:
        found = False
    return "" if found else "torch is not installed (caecodec[torch])"


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
    """Exact arithmetic on the threads of the engine on torch: faster than numpy's, and not in its way."""
    start.load()
    from caecodec.engines.torch.arithmetic import TorchArithmetic

    return TorchArithmetic()


def native_lacks() -> str:
    """Why the engine on the core is not ready."""
    from caecodec.engines.native import library

    return library.why_not()


def workers() -> int:
    """How many threads of Python may have the core compute for them beside each other; 0 on a single processor."""
    from caecodec.engines.native import library

    count = library.thread_count()
    return count if count > 1 else 0


def of_cells(device: str, precision: str, engine: str) -> str:
    """Which engine codes families with cells: 'native', 'numpy' or 'torch'. Raises UsageError.

    The first two are exact. Another device than a CPU, or a precision, is torch's alone.
    """
    if engine == "auto" and (device not in ("auto", "cpu") or precision != "auto"):
        engine = "torch"
    if engine in ("native", "numpy") and (device not in ("auto", "cpu") or precision != "auto"):
        raise UsageError(f"engine {engine!r} runs on the CPU, in integers: a device or a precision is torch's")
    return chosen(engine, {"native": native_lacks, "numpy": always, "torch": torch_lacks})


def photo(model: Model, device: str, precision: str, engine: str = "auto") -> PhotoEngine:
    """Raises UsageError for an engine, a device or a precision that is not there, ModelError."""
    name = of_cells(device, precision, engine)
    if name == "torch":
        return _on_torch(model, device, precision)

    with whole(model.info):
        if name == "native":
            return _on_core(model)
        from caecodec.engines.numpy.photo import NumpyPhotoEngine

        return NumpyPhotoEngine(model, lambda: _with_gradients(model, device, precision))


def _with_gradients(model: Model, device: str, precision: str) -> PhotoEngine:
    """For numpy, which has none: the core, or torch. Raises UsageError."""
    no_core, no_torch = native_lacks(), torch_lacks()
    if not no_core:
        return _on_core(model)
    if no_torch:
        raise UsageError(f"effort 3 and above needs gradients, but {no_core}, and {no_torch}")
    return _on_torch(model, device, precision)


def _on_core(model: Model) -> PhotoEngine:
    from caecodec.engines.native.photo import NativePhotoEngine

    return NativePhotoEngine(model)


def _on_torch(model: Model, device: str, precision: str) -> PhotoEngine:
    start.load()
    from caecodec.engines.torch.photo import TorchPhotoEngine

    with whole(model.info), start.undisturbed():
        return TorchPhotoEngine(model, device, precision)


def tiny(model: Model, device: str, precision: str, engine: str = "auto") -> TinyEngine:
    """As `photo`."""
    name = of_cells(device, precision, engine)
    if name == "torch":
        start.load()
        from caecodec.engines.torch.tiny import TorchTinyEngine

        with whole(model.info), start.undisturbed():
            return TorchTinyEngine(model, device, precision)
    with whole(model.info):
        if name == "native":
            from caecodec.engines.native.tiny import NativeTinyEngine

            return NativeTinyEngine(model)
        from caecodec.engines.numpy.tiny import NumpyTinyEngine

        return NumpyTinyEngine(model)


def tiny_trial(model: Model, tile: Refinement) -> Trial:
    """What choosing a small picture's symbols again goes by. Raises LimitError; UsageError where there is no core."""
    if why := native_lacks():
        raise UsageError(f"effort 3 and above needs gradients, which for small pictures the core alone has: {why}")
    from caecodec.engines.native.rounds import NativeTrial, gradients

    with whole(model.info):
        return NativeTrial(gradients(model), tile)


def photo_latents(model: Model) -> PhotoLatents:
    """Latents <-> bytes by the core. Raises ModelError, LimitError; UsageError where there is no core."""
    from caecodec.engines.native.photo import NativePhotoLatents

    return NativePhotoLatents(model)


def tiny_latents(model: Model) -> TinyLatents:
    """As `photo_latents`."""
    from caecodec.engines.native.tiny import NativeTinyLatents

    return NativeTinyLatents(model)


def places(model: Model) -> PlaceSearch | None:
    """What chooses the places of a model that sends them and says what errors are worth; None for any other."""
    if "search.place_weight" not in model.tensors:
        return None
    from caecodec.engines.numpy.places import PlaceSearch

    with whole(model.info):
        return PlaceSearch(model)


def autoencoder(model: Model, device: str, precision: str, engine: str = "auto") -> AutoencoderEngine:
    """As `photo`, on torch where it is installed."""
    from caecodec.engines.numpy.autoencoder import NumpyAutoencoderEngine

    if chosen(engine, {"torch": torch_lacks, "numpy": always}) == "numpy":
        with whole(model.info):
            return NumpyAutoencoderEngine(model, device, precision)
    with whole(model.info):
        NumpyAutoencoderEngine(model)  # it holds every tensor against the kind before torch makes a network of it
    return _autoencoder_on_torch(model, device, precision)


def _autoencoder_on_torch(model: Model, device: str, precision: str) -> TorchAutoencoderEngine:
    start.load()
    from caecodec.engines.torch.autoencoder import TorchAutoencoderEngine

    with whole(model.info), start.undisturbed():
        return TorchAutoencoderEngine(model, device, precision)


def descent(model: Model, device: str, precision: str) -> Descent:
    """What moves y of an autoencoder with a context, which must have been opened. Raises UsageError without torch."""
    if why := torch_lacks():
        raise UsageError(f"effort 3 and above needs gradients, which for autoencoders torch alone has: {why}")
    engine = _autoencoder_on_torch(model, device, precision)
    from caecodec.engines.torch.descent import Descent

    with whole(model.info), start.undisturbed():
        return Descent(model, engine)
