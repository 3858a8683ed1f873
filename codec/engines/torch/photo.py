"""Pixels -> latents and latents -> pixels, by the float networks.

Arrays at the border are (height, width, channels) numpy; inside, tensors are (1, C, H, W) in channels_last memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from caecodec.entropy.fixed_point import ONE
from caecodec.errors import LimitError, ModelError, UsageError
from caecodec.models.networks.layers import channels_last, depth_to_space, space_to_depth
from caecodec.models.networks.photo import Analysis, HyperAnalysis, PhotoConfig, Synthesis
from caecodec.zoo.find import Model

Float = NDArray[np.float32]
Network = TypeVar("Network", bound=nn.Module)
_cudnn = threading.RLock()  # its flags are the process's, not the thread's
PRECISIONS = ("auto", "float32", "bfloat16")


def pick_device(name: str) -> torch.device:
    """'auto', 'cpu' or 'cuda' -> a device that exists."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available to this torch; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are native here (AVX-512 BF16, AMX, or a recent GPU)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check and check())


class Engine:
    """The float networks of one model on one device."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        if precision not in PRECISIONS:
            raise UsageError(f"unknown precision {precision!r}: choose {', '.join(PRECISIONS)}")
        self.device = pick_device(device)
        fast = fast_bfloat16(self.device) if precision == "auto" else precision == "bfloat16"
        self._body = torch.bfloat16 if fast else torch.float32
        config = PhotoConfig(**model.info.config)  # type: ignore[arg-type]
        self._g_a = load_network(Analysis(config), model.tensors, "g_a.").to(self.device)
        self._g_s = load_network(Synthesis(config), model.tensors, "g_s.").to(self.device)
        self._h_a = load_network(HyperAnalysis(config), model.tensors, "h_a.").to(self.device)
        # what the encoder's last layer rounds would be coded; the decoder's last layer in bfloat16 moves no picture by
        # more than 0.0003 dB, for the linear branch beside it carries most of it and stays in float32
        for body in (self._g_a.stem, self._g_a.blocks, self._g_s.stem, self._g_s.blocks, self._g_s.head):
            body.to(self._body)
        self._tables = {
            key[6:]: torch.from_numpy(np.array(value)).to(self.device)
            for key, value in model.tensors.items()
            if key.startswith("float.")
        }
        # cells of context each network sees beyond a tile: a 3x3 at 1/8 reaches half a cell
        self.halo_in = -(-(config.ga_depth + 1) // 2)
        self.halo_out = -(-(config.gs_depth + 1) // 2)

    @property
    def networks(self) -> tuple[nn.Module, nn.Module]:
        """g_a and g_s, to be looked at."""
        return self._g_a, self._g_s

    def analyse(self, pixels: NDArray[np.uint8], inner: tuple[slice, slice]) -> tuple[Float, Float]:
        """A tile with its halo (H, W, 3), sides multiples of 16; `inner`: the tile within it, in cells.

        Returns y (h, w, N) and z (ceil(h/4), ceil(w/4), Z) of the tile, both before their gains. Raises LimitError.
        """
        with memory(self.device), torch.inference_mode():
            x = self._tensor(pixels).float() / 255 - 0.5
            features = self._g_a.blocks(self._g_a.stem(space_to_depth(x, 8).to(self._body)))
            y = self._g_a.down(features.float()) + self._g_a.linear_branch(x)
            y = y[:, :, inner[0], inner[1]]
            u = y * self._tables["normaliser"][:, None, None]
            below, beside = -y.shape[2] % 4, -y.shape[3] % 4
            z = self._h_a(F.pad(u, (0, beside, 0, below), mode="replicate"))
            return _array(y), _array(z)

    def gains(self, quality: int) -> tuple[Float, Float]:
        """What y (N,) and z (Z,) are multiplied by before rounding."""
        gain, gain_z = (self._tables[k][quality - 1].cpu().numpy() for k in ("gain", "gain_z"))
        return gain, gain_z

    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> NDArray[np.uint8]:
        """y_hat (h, w, N) in fixed point -> pixels (16h, 16w, 3). Raises LimitError."""
        with memory(self.device), torch.inference_mode():
            scale = self._tables["gain_out"][quality - 1] / ONE
            y = self._tensor(y_hat).float() * scale[:, None, None]
            modulation = self._tables["modulation"][quality - 1][None, :, None, None].to(self._body)
            x = self._decoded(y, modulation)
            return _array(torch.floor((x + 0.5) * 255 + 0.5).clamp(0, 255).to(torch.uint8))

    def decoded(self, y_hat: Tensor, quality: int) -> Tensor:
        """y_hat (1, N, h, w) in quantiser steps -> x_hat (1, 3, 16h, 16w) in about [0, 1], unrounded, with gradient."""
        y = y_hat * self._tables["gain_out"][quality - 1][:, None, None]
        modulation = self._tables["modulation"][quality - 1][None, :, None, None].to(self._body)
        return self._decoded(y, modulation) + 0.5

    def _decoded(self, y: Tensor, modulation: Tensor) -> Tensor:
        features = self._g_s.features(y.to(self._body), modulation)
        return depth_to_space(self._g_s.head(features).float(), 8) + self._g_s.linear_branch(y)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        """(H, W, C) -> (1, C, H, W) on the device; the memory stays as it is, which is channels_last."""
        whole = np.require(
            array, requirements=("C", "W")
        )  # torch takes neither strides below zero nor read-only memory
        return torch.from_numpy(whole).to(self.device)[None].permute(0, 3, 1, 2)


def _array(x: Tensor) -> NDArray[Any]:
    """(1, C, H, W) -> (H, W, C)."""
    array: NDArray[Any] = x[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return array


def load_network(network: Network, tensors: Mapping[str, NDArray[np.generic]], prefix: str) -> Network:
    """Fill a network from the tensors under `prefix`, in float32 and channels_last."""
    state = {
        k[len(prefix) :]: torch.from_numpy(np.array(v)).float() for k, v in tensors.items() if k.startswith(prefix)
    }
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as exc:
        raise ModelError(f"the model's {prefix[:-1]} does not fit its configuration") from exc
    if unexpected or not all(name.endswith("num_batches_tracked") for name in missing):  # which only training reads
        raise ModelError(f"the model's {prefix[:-1]} does not fit its configuration")
    return channels_last(network.eval().requires_grad_(False))


@contextmanager
def memory(device: torch.device) -> Iterator[None]:
    """Turn every way of running out of memory into LimitError; on CUDA, float32 means float32 and not TF32."""
    try:
        if device.type == "cuda":
            with _cudnn, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
        else:
            yield
    except (torch.OutOfMemoryError, MemoryError) as exc:
        raise LimitError(f"out of memory on {device}") from exc
    except RuntimeError as exc:
        if "alloc" in str(exc):  # how the CPU allocator reports it
            raise LimitError(f"out of memory on {device}") from exc
        raise
