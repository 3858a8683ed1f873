"""Latents made better by gradient descent through the decoder and the entropy model, with the decoder as it is.

Stochastic Gumbel annealing (Yang 2020, arXiv:2006.04240): rounding is a random choice between the two neighbours of a
latent, softer at first and nearly hard at the end. The float networks here only approximate the integer ones; what is
written is coded by those, so nothing a decoder sees depends on this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from caecodec.engine import Engine, memory
from caecodec.integer import FRACTION_BITS, ONE, STEPS
from caecodec.models.layers import channels_last
from caecodec.models.photo import Context, HyperSynthesis, PhotoConfig, Steps
from caecodec.models.rate_model import gaussian_bits, scale_of_index
from caecodec.models.zoo import Model

Float = NDArray[np.float32]
_RATE = 0.005  # Adam's, in quantiser steps; at 50 to 200 steps 0.01 to 0.05 were worse on validation crops
_WARM = 0.35  # share of the steps before the temperature falls
_WARMEST, _FALL = 0.5, 2.0  # the temperature until then, and by how many e-folds it would fall in all steps


class Refiner:
    """Differentiable copies of one model's h_s, context and g_s."""

    def __init__(self, model: Model, engine: Engine) -> None:
        config = PhotoConfig(**model.info.config)  # type: ignore[arg-type]
        self._engine, self._config = engine, config
        self._h_s = channels_last(HyperSynthesis(config)).to(engine.device).requires_grad_(False)
        self._context = channels_last(Context(config)).to(engine.device).requires_grad_(False)
        _load(self._h_s, model.tensors, "int.h_s")
        _load(self._context, model.tensors, "int.context")
        with torch.no_grad():
            for step in range(STEPS):
                for group in range(STEPS):
                    weight, bias = _layer(model.tensors, f"int.context.head.{step}.{group}")
                    self._context.head_weight[step, group] = weight
                    self._context.head_bias[step, group] = bias
        self._tables = {
            key[8:]: torch.from_numpy(np.array(value, np.float32)).to(engine.device)
            for key, value in model.tensors.items()
            if key.startswith("quality.") and value.ndim == 2
        }

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        y: Float,
        z: Float,
        quality: int,
        steps: int,
        fixed: NDArray[np.bool_] | None = None,
        go_on: Callable[[float], bool] = lambda share: True,
    ) -> tuple[Float, Float]:
        """pixels (16h, 16w, 3) of one tile, its y (h, w, N) and z (h/4, w/4, Z) before their gains -> others of them.

        fixed (h, w): cells to leave as they are. go_on is told the share done and says whether to continue. Usually
        better ones; whoever calls compares. Raises LimitError.
        """
        with memory(self._engine.device), torch.enable_grad():
            return self._descend(pixels, y, z, quality, steps, fixed, go_on)

    def _descend(
        self,
        pixels: NDArray[np.uint8],
        y: Float,
        z: Float,
        quality: int,
        steps: int,
        fixed: NDArray[np.bool_] | None,
        go_on: Callable[[float], bool],
    ) -> tuple[Float, Float]:
        gain, gain_z, _ = self._engine.gains(quality)
        h, w = y.shape[:2]
        y_step = _tensor(y * gain, self._engine.device)
        y_step = F.pad(y_step, (0, w % 2, 0, h % 2), mode="replicate").requires_grad_()
        z_step = _tensor(z * gain_z, self._engine.device).requires_grad_()
        x = _tensor(pixels.astype(np.float32), self._engine.device) / 255
        free: Float = np.ones((h, w), np.float32) if fixed is None else (~fixed).astype(np.float32)
        movable = _tensor(np.pad(free, ((0, h % 2), (0, w % 2)))[..., None], self._engine.device)
        optimizer = torch.optim.Adam([y_step, z_step], lr=_RATE)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / steps) + 0.02))
        generator = torch.Generator(self._engine.device).manual_seed(0)  # the same file every time
        lam = self._config.lambda_at((quality - 1) / 99)
        for step in range(steps):
            if not go_on(step / steps):
                break
            share = step / steps
            temperature = min(_WARMEST, math.exp(-_FALL * (share - _WARM)) * _WARMEST)
            bits, x_hat = self._pass(y_step, z_step, quality, temperature, generator)
            error = (x_hat[:, :, : 16 * h, : 16 * w] - x).square().mean()
            loss = bits / (256 * h * w) + lam * 255**2 * error
            optimizer.zero_grad()
            loss.backward()
            assert y_step.grad is not None
            y_step.grad *= movable
            optimizer.step()
            schedule.step()
        return _array(y_step)[:h, :w] / gain, _array(z_step) / gain_z

    def _pass(
        self, y: Tensor, z: Tensor, quality: int, temperature: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """y and z after their gains -> bits in all, x_hat (1, 3, 16h, 16w)."""

        def row(name: str, scale: float = 1.0) -> Tensor:
            return self._tables[name][quality - 1][None, :, None, None] * scale

        def code(target: Tensor, mean: Tensor, scale: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
            symbol = soft_round(target - mean, temperature, generator)
            return symbol + mean, gaussian_bits(symbol, scale)

        z_mean = row("z_mean", 1 / ONE)
        z_symbol = soft_round(z - z_mean, temperature, generator)
        bits_z = gaussian_bits(z_symbol, scale_of_index(row("z_index"))).sum()
        psi = self._h_s((z_symbol + z_mean) * row("z_to_u", 2.0**-16)) + row("psi", 1 / ONE)
        psi = psi[:, :, : y.shape[2], : y.shape[3]]
        log_ratio = row("to_y", 2.0**-16).log()
        y_hat, bits_y = Steps(self._context, psi, log_ratio, code)(y)
        return bits_y.sum() + bits_z, self._engine.decoded(y_hat, quality)


def soft_round(x: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """A relaxed sample of floor(x) or ceil(x), the likelier the nearer."""
    low = torch.floor(x).detach()
    share = (x - low).clamp(1e-4, 1 - 1e-4)
    logits = (torch.atanh(share) - torch.atanh(1 - share)) / temperature  # of going up
    uniform = torch.rand(x.shape, generator=generator, device=x.device).clamp(1e-6, 1 - 1e-6)
    noise = torch.log(uniform) - torch.log1p(-uniform)  # difference of two Gumbels
    rounded: Tensor = low + torch.sigmoid((logits + noise) / temperature)
    return rounded


def _load(network: torch.nn.Module, tensors: Mapping[str, NDArray[np.generic]], prefix: str) -> None:
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            weight, bias = _layer(tensors, f"{prefix}.{name}")
            with torch.no_grad():
                layer.weight.copy_(weight.T.reshape(layer.weight.shape))
                layer.bias.copy_(bias)  # type: ignore[union-attr]


def _layer(tensors: Mapping[str, NDArray[np.generic]], name: str) -> tuple[Tensor, Tensor]:
    """Integer layer -> weight (in, out) and bias (out,) as real numbers."""
    shift = int(tensors[f"{name}.shift"].item())
    weight = np.asarray(tensors[f"{name}.weight"], np.float32) * 2.0**-shift
    bias = np.asarray(tensors[f"{name}.bias"], np.float64) * 2.0 ** -(shift + FRACTION_BITS)
    return torch.from_numpy(weight), torch.from_numpy(bias.astype(np.float32))


def _tensor(array: NDArray[np.float32], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))[None].permute(0, 3, 1, 2).to(device)


def _array(x: Tensor) -> Float:
    array: Float = x.detach()[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return array
