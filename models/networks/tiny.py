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
from torch.nn import functional as F

from caecodec.entropy.order import PHASES
from caecodec.models.networks.klt import klt_of
from caecodec.models.networks.layers import Block, conv1x1, depth_to_space, interpolate, space_to_depth
from caecodec.models.networks.levels import LambdaRange, error_weight
from caecodec.models.networks.rate_model import SCALE_MIN, SCALE_STEP, code, scale_of_index
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
        if sum(self.groups) != self.n or len(self.splits) != len(self.groups) or not set(self.splits) <= {1, 2, 4}:
            raise ValueError("groups must sum to n, and each be coded in 1, 2 or 4 steps")
        if self.anchors < 2:
            raise ValueError("anchors must be at least 2")
        self.require_range()

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for recipes and weight files."""
        return asdict(self)

    @property
    def steps(self) -> list[tuple[slice, tuple[tuple[int, int], ...]]]:
        """Channels, and positions in each 2x2 block of cells, of every step."""
        found, start = [], 0
        for size, split in zip(self.groups, self.splits, strict=True):
            channels = slice(start, start + size)
            start += size
            share = 4 // split
            found += [(channels, PHASES[i : i + share]) for i in range(0, 4, share)]
        return found


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


class Context(nn.Module):
    """Means and scale indices of one step. Becomes integers at export.

    Each step has an adaptor and a head of its own; the 3x3 layer and the one after it are shared.
    """

    def __init__(self, c: TinyConfig) -> None:
        super().__init__()
        steps = c.steps
        self.adaptors = nn.ModuleList(nn.Linear(c.n, c.context_width) for _ in steps)
        self.mix = nn.Conv2d(c.context_width, c.context_hidden, 3, stride=2)
        self.expand = nn.Linear(c.context_hidden, 2 * c.context_hidden)
        self.project = nn.Linear(2 * c.context_hidden, c.context_hidden)
        self.heads = nn.ModuleList(nn.Linear(c.context_hidden, 2 * (s.stop - s.start)) for s, _ in steps)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        for head in self.heads:
            nn.init.normal_(head.weight, 0, 1e-2)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(
        self, step: int, known: Tensor, bias: Tensor, phases: tuple[tuple[int, int], ...]
    ) -> tuple[Tensor, Tensor]:
        """known (B, h, w, N), zero where unknown; bias (B, 1, 1, C) -> mean, index: (B, cells, channels), by phase."""
        x = F.relu(self.adaptors[step](known) + bias).permute(0, 3, 1, 2)  # (B, C, h, w)
        # each cell (i::2, j::2) with its eight neighbours
        mixed = [self.mix(F.pad(x, (1 - j, j, 1 - i, i))) for i, j in phases]
        x = F.relu(torch.cat([m.permute(0, 2, 3, 1).flatten(1, 2) for m in mixed], dim=1))  # (B, cells, C)
        x = x + self.project(F.relu(self.expand(x)))
        mean, index = self.heads[step](x).float().chunk(2, dim=-1)
        return mean, index


class TinyModel(nn.Module):
    """The whole model. `forward` is the training pass."""

    normaliser: Tensor

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = c = config
        self.g_a, self.g_s, self.context = Analysis(c), Synthesis(c), Context(c)
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
        index = torch.log(deviation * self.normaliser / SCALE_MIN) / SCALE_STEP
        for (channels, _), head in zip(c.steps, self.context.heads, strict=True):
            assert isinstance(head, nn.Linear)
            head.bias[channels.stop - channels.start :] = index[channels]

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
        y_hat, bits = self._steps(y * log_gain.exp(), log_ratio, rows(self.bias[int(gray)]), weight, hard, rdo)
        modulation = interpolate(self.modulation, level)
        x_hat = self.g_s((y_hat * log_gain_out.exp()).permute(0, 3, 1, 2), modulation) + 0.5
        return {"x_hat": x_hat.mean(1, keepdim=True) if gray else x_hat, "bits": bits}

    def _steps(
        self, y: Tensor, log_ratio: Tensor, bias: Tensor, weight: Tensor | None, hard: bool, rdo: float
    ) -> tuple[Tensor, Tensor]:
        """y (B, h, w, N) after the gain; log_ratio (B, 1, 1, N) takes the context's domain to the quantiser's."""
        b, h, w, _ = y.shape
        groups: list[Tensor] = []  # finished ones
        current = y.new_zeros(b, h, w, 0)
        bits = y.new_zeros(b)
        for step, (channels, phases) in enumerate(self.config.steps):
            size = channels.stop - channels.start
            if phases[0] == PHASES[0]:
                current = y.new_zeros(b, h, w, size)
            left = self.config.n - channels.stop
            known = torch.cat((*groups, current), dim=-1) * (-log_ratio[..., : channels.stop]).exp()
            mean, index = self.context(step, F.pad(known, (0, left)), bias, phases)
            ratio = log_ratio[:, 0, :, channels]  # (B, 1, size)
            target = torch.cat([y[:, i::2, j::2, channels].flatten(1, 2) for i, j in phases], dim=1)
            value, cost = code(
                target,
                mean * ratio.exp(),
                scale_of_index(index + ratio / SCALE_STEP),
                None if weight is None else weight[:, 0, :, channels],
                hard,
                rdo,
            )
            bits = bits + cost.sum((1, 2))
            done = torch.zeros_like(current)
            for (i, j), part in zip(phases, value.chunk(len(phases), dim=1), strict=True):
                done[:, i::2, j::2] = part.reshape(b, h // 2, w // 2, size)
            current = current + done
            if phases[-1] == PHASES[-1]:
                groups.append(current)
        return torch.cat(groups, dim=-1), bits


def _colour(x: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 3, H, W)."""
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
