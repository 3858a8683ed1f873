"""The two layers everything is built of: a residual block and exact space/depth moves.

All tensors are (B, C, H, W) in channels_last memory, in which a 1x1 convolution is one matrix product
and a depthwise 3x3 is cheap. The plain memory layout is up to ten times slower on a CPU.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Network = TypeVar("Network", bound=nn.Module)


def space_to_depth(x: Tensor, r: int) -> Tensor:
    """(B, C, H*r, W*r) -> (B, r*r*C, H, W); channel (i*r + j)*C + c holds pixel (i, j) of each r x r cell.

    Unlike `F.pixel_unshuffle` it keeps C innermost, so in channels_last it is a single strided copy.
    """
    b, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(b, h // r, r, w // r, r, c)  # (B, H, r, W, r, C)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h // r, w // r, r * r * c).permute(0, 3, 1, 2)


def depth_to_space(x: Tensor, r: int) -> Tensor:
    """(B, r*r*C, H, W) -> (B, C, H*r, W*r): the inverse of `space_to_depth`."""
    b, d, h, w = x.shape
    c = d // (r * r)
    x = x.permute(0, 2, 3, 1).reshape(b, h, w, r, r, c)  # (B, H, W, r, r, C)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h * r, w * r, c).permute(0, 3, 1, 2)


def channels_last(network: Network) -> Network:
    """The same network with its weights in channels_last memory."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def conv1x1(c_in: int, c_out: int) -> nn.Conv2d:
    """A 1x1 convolution (a matrix product over channels)."""
    return nn.Conv2d(c_in, c_out, 1)


class Block(nn.Module):
    """B(C): 1x1, ReLU, depthwise 3x3, 1x1, residual; then 1x1 C->2C, ReLU, 1x1, residual.

    Both residual branches start at zero, so a fresh block is the identity.
    (The shape is that of the depth-wise blocks of DCVC-DC, https://arxiv.org/abs/2302.14402, without attention.)
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        self.mix_in = conv1x1(c, c)
        self.depthwise = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.mix_out = conv1x1(c, c)
        self.expand = conv1x1(c, 2 * c)
        self.project = conv1x1(2 * c, c)
        for last in (self.mix_out, self.project):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.mix_out(self.depthwise(F.relu(self.mix_in(x))))
        out: Tensor = x + self.project(F.relu(self.expand(x)))
        return out


def interpolate(table: Tensor, level: Tensor) -> Tensor:
    """Rows of `table` (A, C) at `level` (B,) in [0, 1], linear between anchors -> (B, C, 1, 1).

    Tables hold logarithms where the quantity is a gain, so the gain itself is interpolated geometrically
    (Cui 2021, https://arxiv.org/abs/2003.02012).
    """
    return between(table, level.clamp(0, 1) * (table.shape[0] - 1))


def between(table: Tensor, position: Tensor) -> Tensor:
    """Rows of `table` (A, C) at `position` (B,) in [0, A - 1], linear between them -> (B, C, 1, 1)."""
    low = position.floor().clamp(max=table.shape[0] - 2).long()
    weight = (position - low).unsqueeze(1)  # (B, 1)
    rows: Tensor = table[low] * (1 - weight) + table[low + 1] * weight
    column: Tensor = rows[:, :, None, None]
    return column
