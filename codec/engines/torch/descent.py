"""Latents of an autoencoder with a context, moved to where they cost less: descent, picture by picture.

What these encoders give is far from the best for decoders as bent as theirs. Each y goes down the gradient of
R + lambda D as training had it: noise for the rate, symbols straight through for the picture. What would be coded is
looked at every few steps, and the best of all is kept. Floats approximate the integers that code it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.engines.torch.autoencoder import TorchAutoencoderEngine
from caecodec.engines.torch.device import memory
from caecodec.engines.torch.engine import Float, array_of
from caecodec.engines.torch.integers import load_integers, multiplier
from caecodec.entropy.fixed_point import ONE
from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.models.networks.context import Context, ContextSizes
from caecodec.models.networks.quantize import round_ste
from caecodec.models.networks.rate_model import gaussian_bits, scale_of_index, shrink
from caecodec.pictures.picture import Pixels
from caecodec.zoo.file import Model

_RATE = 0.03  # of Adam, in steps of the quantiser; it falls to 0
_STEPS_A_LOOK = 4  # between two looks at what would be coded


class Descent:
    """Of one model. Its sides are those of tensors, which the id covers."""

    def __init__(self, model: Model, engine: TorchAutoencoderEngine) -> None:
        tensors = model.tensors
        groups, splits = (tuple(np.asarray(tensors[f"steps.{key}"]).tolist()) for key in ("groups", "splits"))
        width = tensors["int.context.adaptors.0.weight"].shape[1]
        sizes = ContextSizes(groups, splits, width, tensors["int.context.mix.weight"].shape[1])
        self._engine = engine
        self._context = load_integers(Context(sizes), tensors, "int.context").to(engine.device)
        unit = 2.0 ** -int(np.asarray(tensors["int.context.narrow"]).item())
        with torch.no_grad():
            for head in self._context.heads:
                assert isinstance(head, torch.nn.Linear)
                head.weight *= unit
        for network in (self._context, engine.network, engine.turn_back):
            network.requires_grad_(False)
        self._tables = {
            "to_u": multiplier(tensors, "quality.to_u") * ONE,
            "to_y": multiplier(tensors, "quality.to_y") / ONE,
            "index": torch.from_numpy(np.array(tensors["quality.index"], np.float32)),
            "bias": torch.from_numpy(np.array(tensors["quality.bias"][0], np.float32)),
            "gain": torch.from_numpy(np.array(tensors["float.gain"])),
            "offset": torch.from_numpy(np.array(tensors["float.offset"])) / ONE,
            "gain_out": torch.from_numpy(np.array(tensors["float.gain_out"])) * ONE,
            "weight": torch.from_numpy(np.array(tensors["float.weight"])),
        }

    def __call__(
        self, pixels: Pixels, y: Float, quality: int, worth: float, steps: int, go_on: Callable[[float], bool]
    ) -> NDArray[np.float32]:
        """pixels (P, H, W, C) and y (P, h, w, N) before its gain, h and w even -> y of that shape.

        worth: bits that a squared error of 1 in 8-bit samples is worth, all of a picture's in the mean. go_on is told
        the share done and says whether to continue. Raises LimitError.
        """
        device = self._engine.device
        rows = {name: table[quality - 1].to(device) for name, table in self._tables.items()}
        dice = torch.Generator(device).manual_seed(0)
        with memory(device):
            x = self._engine.tensor(pixels).float() / 255
            target = (torch.from_numpy(np.ascontiguousarray(y)).to(device) * rows["gain"]).requires_grad_()
            adam = torch.optim.Adam([target], lr=_RATE)
            best, least = target.detach().clone(), torch.full((len(x),), torch.inf, device=device)
            for step in range(steps + 1):
                ended = step == steps or not go_on(step / steps)
                if ended or step % _STEPS_A_LOOK == 0:
                    with torch.no_grad():
                        y_hat, bits = self._walk(target, rows, None)
                        cost = bits + worth * self._mse(y_hat, x, rows, bounded=True)
                        better = cost < least
                        least = torch.where(better, cost, least)
                        best[better] = target.detach()[better]
                if ended:
                    break
                for group in adam.param_groups:
                    group["lr"] = _RATE * (1 - step / steps)
                y_hat, bits = self._walk(target, rows, dice)
                adam.zero_grad()
                (bits + worth * self._mse(y_hat, x, rows, bounded=False)).sum().backward()  # type: ignore[no-untyped-call]
                adam.step()
            return array_of((best / rows["gain"]).permute(0, 3, 1, 2))

    def _mse(self, y_hat: Tensor, x: Tensor, rows: dict[str, Tensor], *, bounded: bool) -> Tensor:
        shown = self._engine.decoded(((y_hat + rows["offset"]) * rows["gain_out"]).permute(0, 3, 1, 2))
        shown = shown.clamp(0, 1) if bounded else shown
        return 255**2 * (shown - x).square().mean((1, 2, 3))

    def _walk(self, target: Tensor, rows: dict[str, Tensor], dice: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Targets (P, h, w, N) -> y_hat in steps and the bits of each picture: of noisy values, or of what is coded."""

        def code_step(channels: slice, wanted: Tensor, mean: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            mean = mean * rows["to_y"][channels]
            scale = scale_of_index((index + rows["index"][channels]) / ONE)
            if dice is None:
                symbol = shrink(wanted - mean, scale, rows["weight"][channels], RDO_STRENGTH)
                return symbol + mean, gaussian_bits(symbol, scale)
            noise = torch.rand(wanted.shape, generator=dice, device=target.device) - 0.5
            return round_ste(wanted - mean) + mean, gaussian_bits(wanted + noise - mean, scale)

        return self._context.walk(target, rows["to_u"], rows["bias"], code_step)
