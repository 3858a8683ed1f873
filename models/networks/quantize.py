"""Rounding that training can pass gradients through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def round_ste(x: Tensor) -> Tensor:
    """floor(x + 1/2) forward, identity backward (straight-through)."""
    # floor, not round: torch.round is half-to-even and the codec is not
    return x + (torch.floor(x + 0.5) - x).detach()


def add_noise(x: Tensor) -> Tensor:
    """x + U(-1/2, 1/2): the differentiable stand-in for rounding in the rate (Balle 2017, arXiv:1611.01704)."""
    return x + torch.rand_like(x) - 0.5


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = (low, high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,), (low, high), grad = ctx.saved_tensors, ctx.bounds, grads[0]
        stuck = ((x < low) & (grad > 0)) | ((x > high) & (grad < 0))
        return grad.masked_fill(stuck, 0), None, None


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """clamp(x, low, high) whose gradient still flows where it points back inside."""
    result: Tensor = _Bounded.apply(x, low, high)  # type: ignore[no-untyped-call]
    return result
