"""What the engines of every family share.

Arrays at the border are (P, height, width, channels) numpy, P pictures of one size; inside, tensors are (P, C, H, W) in
channels_last memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caecodec.engines.tables import expect_finite
from caecodec.engines.torch.device import PRECISIONS, fast_bfloat16, pick_device
from caecodec.errors import ModelError, UsageError
from caecodec.models.networks.layers import channels_last
from caecodec.pictures.picture import Pixels
from caecodec.tune import QUALITIES
from caecodec.zoo.file import Model

Float = NDArray[np.float32]
Network = TypeVar("Network", bound=nn.Module)


class Engine:
    """A device, a precision, and the float tables of one model (tensors `float.*`), a row for each quality."""

    def __init__(self, model: Model, device: str, precision: str) -> None:
        """device: auto, cpu or cuda. precision: auto, float32 or bfloat16. Raises UsageError, ModelError."""
        if precision not in PRECISIONS:
            raise UsageError(f"unknown precision {precision!r}: choose {', '.join(PRECISIONS)}")
        expect_finite(model.tensors)
        self.device = pick_device(device)
        fast = fast_bfloat16(self.device) if precision == "auto" else precision == "bfloat16"
        self.body = torch.bfloat16 if fast else torch.float32
        self.tables = {
            key[6:]: torch.from_numpy(np.array(value)).to(self.device)
            for key, value in model.tensors.items()
            if key.startswith("float.")
        }

    def expect(self, widths: Mapping[str, int]) -> None:
        """Raise ModelError unless these tables are there, whole and finite: name -> columns."""
        for name, width in widths.items():
            table = self.tables[name]
            if table.shape != (QUALITIES, width) or not table.isfinite().all():
                raise ModelError(f"table float.{name} is malformed")

    def row(self, name: str, quality: int) -> Float:
        """A table at quality 1..100, or a row above (`caecodec.tune.row`): (channels,)."""
        found: Float = self.tables[name][quality - 1].cpu().numpy()
        return found

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """(P, H, W, C) -> (P, C, H, W) on the device; the memory stays as it is, which is channels_last."""
        # torch takes neither strides below zero nor read-only memory
        whole = np.require(array, requirements=("C", "W"))
        return torch.from_numpy(whole).to(self.device).permute(0, 3, 1, 2)

    def autocast(self) -> torch.autocast:
        """bfloat16 where it is fast. Only encoders use it: what a decoder rounds is seen."""
        return torch.autocast(self.device.type, self.body, enabled=self.body == torch.bfloat16)


def array_of(x: Tensor) -> NDArray[Any]:
    """(P, C, H, W) -> (P, H, W, C)."""
    array: NDArray[Any] = x.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array


def pixels_of(x: Tensor) -> Pixels:
    """(P, C, H, W) in [0, 1] -> (P, H, W, C) uint8."""
    return array_of(torch.floor(x * 255 + 0.5).clamp(0, 255).to(torch.uint8))


def load_network(network: Network, tensors: Mapping[str, NDArray[np.generic]], prefix: str) -> Network:
    """Fill a network from the tensors under `prefix`, in float32 and channels_last. Raises ModelError."""
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
