"""A model's integer layers as the weights of float networks: the same network but for rounding.

Activations stay in the units of the integers, and streams in theirs: a layer that reads a stream has the division in
its weights. So a stream of 2^20 or pixels in 2^-12 of a sample's step are ordinary values here. Pictures louder than
any that a model's ranges were taken from (noise) reach the bounds of activations, which are kept here too.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from caecodec.engines.numpy.networks import FEATURE_MAX
from caecodec.entropy.fixed_point import ACTIVATION, Tensors
from caecodec.errors import ModelError
from caecodec.models.networks.layers import channels_last

Network = TypeVar("Network", bound=nn.Module)

# last name of a layer -> largest magnitude of what it puts out; or its whole name
_BOUNDS = {"mix_in": ACTIVATION, "depthwise": ACTIVATION, "expand": ACTIVATION, "g_s.stem": FEATURE_MAX}


def _keep_within(layer: nn.Module, limit: float) -> None:
    """Bound what a layer puts out."""
    layer.register_forward_hook(lambda _, inputs, output: output.clamp(-limit, limit))


def _keep_read_within(layer: nn.Module, limit: float) -> None:
    """Bound what a layer reads."""
    layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].clamp(-limit, limit),))


def real_layer(tensors: Tensors, name: str) -> tuple[Tensor, Tensor]:
    """Weight (in, out) and bias (out,) of a layer as real numbers, the half that rounds taken out."""
    shift = int(np.asarray(tensors[f"{name}.shift"]).item())
    narrow = int(np.asarray(tensors[f"{name}.narrow"]).item()) if f"{name}.narrow" in tensors else 0
    weight = np.asarray(tensors[f"{name}.weight"], np.float32) * np.float32(2.0 ** -(shift + narrow))
    half = 2.0 ** (shift - 1) if shift else 0.0
    bias = (np.asarray(tensors[f"{name}.bias"], np.float64) - half) * 2.0**-shift
    return torch.from_numpy(weight), torch.from_numpy(bias.astype(np.float32))


def multiplier(tensors: Tensors, name: str) -> Tensor:
    """The factors of a multiplier as real numbers, in its shape."""
    shift = np.asarray(tensors[f"{name}.shift"], np.float64)
    return torch.from_numpy((np.asarray(tensors[name], np.float64) * 2.0**-shift).astype(np.float32))


@torch.no_grad()
def load_integers(network: Network, tensors: Tensors, prefix: str) -> Network:
    """Fill every convolution and linear layer of a network from the layers PREFIX.*, in float32 and channels_last.

    What they read and put out is kept within the bounds of the integers.

    Raises ModelError where they do not fit.
    """
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        try:
            weight, bias = real_layer(tensors, f"{prefix}.{name}")
            layer.weight.copy_(_as_torch(weight, layer))
            if layer.bias is not None:
                layer.bias.copy_(bias)
        except (KeyError, RuntimeError) as exc:
            raise ModelError(f"layer {prefix}.{name} does not fit the model's configuration") from exc
        limit = _BOUNDS.get(f"{prefix}.{name}", _BOUNDS.get(name.rpartition(".")[2]))
        if limit:
            _keep_within(layer, limit)
        if f"{prefix}.{name}.narrow" in tensors:
            _keep_read_within(layer, ACTIVATION * 2.0 ** int(np.asarray(tensors[f"{prefix}.{name}.narrow"]).item()))
    return channels_last(network.eval().requires_grad_(False))


def _as_torch(weight: Tensor, layer: nn.Conv2d | nn.Linear) -> Tensor:
    """(in, out), (9 * in, out) or, depthwise, (9, C) -> as torch has it."""
    if isinstance(layer, nn.Linear):
        return weight.T
    rows, columns = layer.kernel_size
    return weight.reshape(rows, columns, -1, weight.shape[1]).permute(3, 2, 0, 1)
