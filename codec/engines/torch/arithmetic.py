"""The exact arithmetic on torch: faster than numpy's, and with the threads of the float networks (see there why)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from caecodec.entropy.arithmetic import Arithmetic, Array

SMALL = 1024  # values


class TorchArithmetic(Arithmetic):
    """See `Arithmetic`. Products and scalings too small to be worth a call of torch stay with numpy."""

    def product(self, x: Array, weight: Array, bias: Array) -> Array:
        if x.size < SMALL:
            return super().product(x, weight, bias)
        return torch.addmm(torch.from_numpy(bias), torch.from_numpy(x), torch.from_numpy(weight)).numpy()

    def settle(self, acc: Array, low: float, high: float) -> Array:
        if acc.size >= SMALL:
            torch.from_numpy(acc).floor_().clamp_(low, high)
            return acc
        return super().settle(acc, low, high)

    def depthwise(self, x: Array, weight: Array, bias: Array) -> Array:
        h, w, _ = x.shape
        padded = F.pad(torch.from_numpy(x), (0, 0, 1, 1, 1, 1))
        acc = torch.from_numpy(bias).expand(x.shape).clone(memory_format=torch.contiguous_format)
        for tap, row in enumerate(torch.from_numpy(weight)):
            i, j = divmod(tap, 3)
            acc.addcmul_(padded[i : i + h, j : j + w], row)
        return acc.numpy()

    def add(self, x: Array, more: Array, limit: float) -> Array:
        return torch.from_numpy(x).add(torch.from_numpy(more)).clamp_(-limit, limit).numpy()

    def halve(self, x: Array, times: int, limit: float) -> Array:
        if x.size < SMALL:
            return super().halve(x, times, limit)
        out: Array = torch.from_numpy(x).mul(2.0**-times).add_(0.5).floor_().clamp_(-limit, limit).numpy()
        return out
