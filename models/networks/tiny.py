"""The small-picture model: gray and colour, up to 64x64 pixels, every quality from one network.

    x --g_a--> y --(gain)--> round --> y_hat --(1/gain)--> g_s --> x_hat
                              ^
               context: what is already known of y_hat --> mean, scale index

A picture of 32x32 has 4x4 cells of 8x8 pixels, too few for a hyperprior to pay. All side information is context
instead: channels of y in groups from coarse to fine, each group in two or four steps over the cells (the positions of
a 2x2 block of cells in turn), so that a step sees every coarser group everywhere and its own group at neighbours.

As in the photo model the networks work in the signal domain and see the quality only through tables, and a linear
transform (here of 8x8x3 patches, complete) that starts as the KLT lies beside g_a and g_s.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from caecodec.models.networks.context import Context, ContextSizes, Step
from caecodec.models.networks.klt import klt_of
from caecodec.models.networks.layers import Block, conv1x1, depth_to_space, interpolate, space_to_depth
from caecodec.models.networks.levels import LambdaRange, error_weight
from caecodec.pictures.cells import TINY_CELL


@dataclass(frozen=True, slots=True)
class TinyConfig(LambdaRange):
    """Sizes. `groups`: channels of y in each group, coarse to fine; `splits`: in how many steps each is coded."""

    n: int = 192
    groups: tuple[int, ...] = (6, 18, 48, 120)
    splits: tuple[int, ...] = (4, 4, 2, 2)
    ga_width: int = 96
    ga_depth: int = 3
    gs_width: int = 96
    gs_depth: int = 4
    context_width: int = 96
    context_hidden: int = 128
    anchors: int = 8
    lambda_min: float = 0.002
    lambda_max: float = 1.0

    def __post_init__(self) -> None:
        self.sizes.require_channels(self.n)
        if self.anchors < 2:
            raise ValueError("anchors must be at least 2")
        self.require_range()

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for recipes and weight files."""
        return asdict(self)

    @property
    def sizes(self) -> ContextSizes:
        """Of the context."""
        return ContextSizes(self.groups, self.splits, self.context_width, self.context_hidden)

    @property
    def steps(self) -> list[Step]:
        """Channels, and positions in each 2x2 block of cells, of every step."""
        return self.sizes.steps


class Analysis(nn.Module):
    """g_a: (B, 3, H, W) in [-1/2, 1/2] -> y (B, N, H/8, W/8)."""

    def __init__(self, c: TinyConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * TINY_CELL * TINY_CELL, c.n, bias=False)
        self.stem = conv1x1(3 * 16, c.ga_width)
        self.blocks = nn.Sequential(*(Block(c.ga_width) for _ in range(c.ga_depth)))
        self.down = nn.Conv2d(c.ga_width, c.n, 3, stride=2, padding=1)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Pixels to latents; the linear branch stays in float32 whatever autocast says."""
        y = self.down(self.blocks(self.stem(space_to_depth(x, 4))))
        with torch.autocast(x.device.type, enabled=False):
            linear = self.linear(space_to_depth(x.float(), TINY_CELL).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        latents: Tensor = y.float() + linear
        return latents


class Synthesis(nn.Module):
    """g_s: y (B, N, h, w), modulation (B, C, 1, 1) -> (B, 3, 8h, 8w) in about [-1/2, 1/2]."""

    def __init__(self, c: TinyConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(c.n, 3 * TINY_CELL * TINY_CELL, bias=False)
        self.stem = conv1x1(c.n, 4 * c.gs_width)
        self.blocks = nn.Sequential(*(Block(c.gs_width) for _ in range(c.gs_depth)))
        self.head = nn.Conv2d(c.gs_width, 3 * 16, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, y: Tensor, modulation: Tensor) -> Tensor:
        """Latents to pixels; the linear branch stays in float32 whatever autocast says."""
        x = depth_to_space(self.head(self.blocks(depth_to_space(self.stem(y), 2) * modulation)), 4)
        with torch.autocast(y.device.type, enabled=False):
            linear = depth_to_space(self.linear(y.float().permute(0, 2, 3, 1)).permute(0, 3, 1, 2), TINY_CELL)
        return x.float() + linear


class TinyModel(nn.Module):
    """The whole model. `forward` is the training pass."""

    normaliser: Tensor

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = c = config
        self.g_a, self.g_s, self.context = Analysis(c), Synthesis(c), Context(c.sizes)
        self.log_gain = nn.Parameter(torch.zeros(c.anchors, c.n))
        self.log_gain_out = nn.Parameter(torch.zeros(c.anchors, c.n))  # what g_s multiplies by, minus -log_gain
        self.bias = nn.Parameter(torch.zeros(2, c.anchors, c.context_width))  # colour, gray
        self.modulation = nn.Parameter(torch.ones(c.anchors, c.gs_width))
        self.register_buffer("normaliser", torch.ones(c.n))

    @torch.no_grad()
    def start(self, pictures: list[Tensor]) -> None:
        """Start as transform coding: the KLT of 8x8x3 patches of pictures, each (P, C, H, W) in [0, 1]."""
        c = self.config
        patches = [space_to_depth(_colour(p) - 0.5, TINY_CELL).permute(0, 2, 3, 1).flatten(0, 2) for p in pictures]
        basis, deviation = klt_of(torch.cat(patches), c.n)
        self.g_a.linear.weight.copy_(basis.T)
        self.g_s.linear.weight.copy_(basis)
        deviation = deviation.clamp_min(1e-3)
        self.normaliser.copy_(deviation**-0.5)
        for a in range(c.anchors):
            self.log_gain[a].fill_(c.first_log_gain(a / (c.anchors - 1)))
        self.g_s.stem.weight.normal_(0, float((deviation**2).sum()) ** -0.5)
        self.context.start(deviation * self.normaliser)

    def forward(self, x: Tensor, level: Tensor, hard: bool = False, rdo: float = 0.0) -> dict[str, Tensor]:
        """x (B, 1 or 3, H, W) in [0, 1], H and W multiples of 16; level (B,) in [0, 1] -> x_hat like x, bits (B,).

        `hard` is what the codec does, with rate-distortion optimised rounding of strength `rdo`.
        """
        c, gray = self.config, x.shape[1] == 1
        y = self.g_a(_colour(x) - 0.5).permute(0, 2, 3, 1)  # (B, h, w, N)

        def rows(table: Tensor) -> Tensor:
            return interpolate(table, level).permute(0, 2, 3, 1)  # (B, 1, 1, C)

        log_gain = rows(self.log_gain)
        log_gain_out = rows(self.log_gain_out) - log_gain
        log_ratio = log_gain - self.normaliser.log()
        weight = None
        if rdo:
            lam = c.lambda_at(level)[:, None, None, None]
            power = self.g_s.linear.weight.detach().square().sum(0)
            weight = error_weight(lam, power, (2 * log_gain_out.detach()).exp())  # (B, 1, 1, N)
        y_hat, bits = self.context.code(y * log_gain.exp(), log_ratio, rows(self.bias[int(gray)]), weight, hard, rdo)
        modulation = interpolate(self.modulation, level)
        x_hat = self.g_s((y_hat * log_gain_out.exp()).permute(0, 3, 1, 2), modulation) + 0.5
        return {"x_hat": x_hat.mean(1, keepdim=True) if gray else x_hat, "bits": bits}


def _colour(x: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 3, H, W)."""
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
