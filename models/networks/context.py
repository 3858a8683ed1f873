"""Context over cells and channel groups: what is known of y -> mean and scale index of what comes next.

Channels of y are in groups from coarse to fine, each coded in one, two or four steps over the cells (the positions of
a 2x2 block of cells in turn), so that a step sees every coarser group everywhere and its own group at neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caecodec.entropy.order import PHASES
from caecodec.models.networks.rate_model import SCALE_MIN, SCALE_STEP, code, scale_of_index

Step = tuple[slice, tuple[tuple[int, int], ...]]
# channels of a step; target in the units of y, mean and index in the context's, (B, cells, channels) each -> values in
# the units of y and their bits, of that shape
CodeStep = Callable[[slice, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class ContextSizes:
    """`groups`: channels of y in each group, coarse to fine; `splits`: in how many steps each is coded."""

    groups: tuple[int, ...]
    splits: tuple[int, ...]
    width: int
    hidden: int

    def require_channels(self, n: int) -> None:
        """Raise ValueError where the groups are not of n channels in all."""
        if sum(self.groups) != n or len(self.splits) != len(self.groups) or not set(self.splits) <= {1, 2, 4}:
            raise ValueError("groups must sum to n, and each be coded in 1, 2 or 4 steps")

    @property
    def n(self) -> int:
        """Channels of y."""
        return sum(self.groups)

    @property
    def steps(self) -> list[Step]:
        """Channels, and positions in each 2x2 block of cells, of every step."""
        found, start = [], 0
        for size, split in zip(self.groups, self.splits, strict=True):
            channels = slice(start, start + size)
            start += size
            share = 4 // split
            found += [(channels, PHASES[i : i + share]) for i in range(0, 4, share)]
        return found


class Context(nn.Module):
    """Means and scale indices of one step. Becomes integers at export.

    Each step has an adaptor and a head of its own; the 3x3 layer and the one after it are shared.
    """

    def __init__(self, c: ContextSizes) -> None:
        super().__init__()
        self.sizes, steps = c, c.steps
        self.adaptors = nn.ModuleList(nn.Linear(c.n, c.width) for _ in steps)
        self.mix = nn.Conv2d(c.width, c.hidden, 3, stride=2)
        self.expand = nn.Linear(c.hidden, 2 * c.hidden)
        self.project = nn.Linear(2 * c.hidden, c.hidden)
        self.heads = nn.ModuleList(nn.Linear(c.hidden, 2 * (s.stop - s.start)) for s, _ in steps)
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

    @torch.no_grad()
    def start(self, deviation: Tensor) -> None:
        """Begin with the deviations (N,) of y in the context's domain as scales."""
        index = torch.log(deviation / SCALE_MIN) / SCALE_STEP
        for (channels, _), head in zip(self.sizes.steps, self.heads, strict=True):
            assert isinstance(head, nn.Linear)
            head.bias[channels.stop - channels.start :] = index[channels]

    def code(
        self, y: Tensor, log_ratio: Tensor, bias: Tensor, weight: Tensor | None, hard: bool, rdo: float
    ) -> tuple[Tensor, Tensor]:
        """y (B, h, w, N) after the gain, h and w even -> y_hat of that shape and bits (B,); see `rate_model.code`.

        log_ratio (B, 1, 1, N) takes the context's domain to the quantiser's; bias (B, 1, 1, C).
        """

        def code_step(channels: slice, target: Tensor, mean: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            ratio = log_ratio[:, 0, :, channels]  # (B, 1, size)
            scale = scale_of_index(index + ratio / SCALE_STEP)
            worth = None if weight is None else weight[:, 0, :, channels]
            return code(target, mean * ratio.exp(), scale, worth, hard, rdo)

        return self.walk(y, (-log_ratio).exp(), bias, code_step)

    def walk(self, y: Tensor, to_u: Tensor, bias: Tensor, code_step: CodeStep) -> tuple[Tensor, Tensor]:
        """y (B, h, w, N), h and w even -> values of that shape and bits (B,), as `code_step` codes each step.

        to_u (..., N) takes values to the context's domain; bias broadcasts to (B, 1, 1, C).
        """
        b, h, w, _ = y.shape
        groups: list[Tensor] = []  # finished ones
        current = y.new_zeros(b, h, w, 0)
        bits = y.new_zeros(b)
        for step, (channels, phases) in enumerate(self.sizes.steps):
            size = channels.stop - channels.start
            if phases[0] == PHASES[0]:
                current = y.new_zeros(b, h, w, size)
            known = torch.cat((*groups, current), dim=-1) * to_u[..., : channels.stop]
            mean, index = self(step, F.pad(known, (0, self.sizes.n - channels.stop)), bias, phases)
            target = torch.cat([y[:, i::2, j::2, channels].flatten(1, 2) for i, j in phases], dim=1)
            value, cost = code_step(channels, target, mean, index)
            bits = bits + cost.sum((1, 2))
            done = torch.zeros_like(current)
            for (i, j), part in zip(phases, value.chunk(len(phases), dim=1), strict=True):
                done[:, i::2, j::2] = part.reshape(b, h // 2, w // 2, size)
            current = current + done
            if phases[-1] == PHASES[-1]:
                groups.append(current)
        return torch.cat(groups, dim=-1), bits
