"""Latents chosen in rounds, each with what every symbol costs later on: in the picture, and in bits that follow.

Rounding in the order of coding sees what a symbol costs itself. What it does to the picture together with all others,
and to the means and scales of later steps, is seen afterwards: one pass through decoder and context over the symbols as
they are, and its gradient. Every target then moves towards where R + lambda D would be lower (a Gauss-Newton step,
damped), and the symbols are chosen anew; a step that made things worse is taken back and gone more carefully.

The float networks here only approximate the integer ones; what is written is coded by those, so nothing a decoder sees
depends on this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from caecodec.engines.protocol import Refinement
from caecodec.engines.torch.device import memory
from caecodec.engines.torch.engine import array_of
from caecodec.engines.torch.integers import load_integers, multiplier, real_layer
from caecodec.engines.torch.photo import TorchPhotoEngine
from caecodec.entropy.fixed_point import ONE, SCALES
from caecodec.entropy.order import STEPS, group_at
from caecodec.entropy.tables import Tables
from caecodec.models.networks.eye import EyeDistance
from caecodec.models.networks.photo import Context, HyperSynthesis, PhotoConfig, merge_phases, split_phases
from caecodec.models.networks.rate_model import gaussian_bits, scale_of_index
from caecodec.models.networks.trade import Trade
from caecodec.pictures.ssimulacra2 import SMALLEST_SIDE
from caecodec.zoo.file import Model

Float = NDArray[np.float32]

_CURVATURE = 0.85  # of the error by a latent, over that of the linear branch alone
_TRUSTED, _DOUBTED = 1.3, 10.0  # least and most that a curvature is taken for more, after a step that made things worse
_WARY = 1.12  # and after one that made them worse but within the slack
_REACH = 1.0  # quantiser steps that a target may move from where it was


@dataclass(frozen=True, slots=True)
class Pace:
    """How a search goes on, by what errors are measured with; found on validation crops.

    strength: of rounding once there is a gradient, which makes up for more of what rounding takes; in the first round
    and later. damping: the share of a step that is gone, in the first round and in the last. floor: bits added to the
    curvature, for measures that say little of some channels. eased: what curvature is multiplied by after a step that
    went well. slack: how much worse, relatively, a round may be than the best for the next to go on from it.
    """

    strength: tuple[float, float]
    damping: tuple[float, float]
    floor: float
    eased: float
    slack: float


SQUARED = Pace(strength=(0.7, 1.0), damping=(0.3, 0.1), floor=0.0, eased=0.96, slack=0.02)
SEEN = Pace(strength=(0.5, 0.5), damping=(0.1, 0.1), floor=5.0, eased=0.8, slack=0.0)


class Rounds:
    """Differentiable copies of one model's h_s, context and g_s."""

    def __init__(self, model: Model, engine: TorchPhotoEngine, tables: Tables) -> None:
        config = PhotoConfig(**model.info.config)  # type: ignore[arg-type]
        self._engine = engine
        self._h_s = load_integers(HyperSynthesis(config), model.tensors, "int.h_s").to(engine.device)
        self._context = load_integers(Context(config), model.tensors, "int.context").to(engine.device)
        self._of_psi, of_context = (2.0 ** -int(model.tensors[f"int.{p}.narrow"].item()) for p in ("h_s", "context"))
        with torch.no_grad():
            for step in range(STEPS):
                for group in range(STEPS):
                    weight, bias = real_layer(model.tensors, f"int.context.head.{step}.{group}")
                    self._context.head_weight[step, group] = weight * (of_context if step else 1.0)
                    self._context.head_bias[step, group] = bias
        self._tables = {
            key: torch.from_numpy(np.array(model.tensors[f"quality.{key}"], np.float32)).to(engine.device)
            for key in ("z_mean", "z_index", "psi", "index")
        } | {key: multiplier(model.tensors, f"quality.{key}").to(engine.device) for key in ("z_to_u", "to_u", "to_y")}
        self._saving = torch.from_numpy(_savings(tables)).to(engine.device)

    def __call__(self, tile: Refinement, rounds: int, go_on: Callable[[float], bool] = lambda share: True) -> Float:
        """Another y (h, w, N) before its gain, whose nearest symbols are the best that were found.

        go_on is told the share done and says whether to continue. Raises LimitError.
        """
        with memory(self._engine.device):
            return self._search(tile, rounds, go_on)

    def _search(self, tile: Refinement, rounds: int, go_on: Callable[[float], bool]) -> Float:
        device = self._engine.device
        gain, gain_z = (self._engine.row(name, tile.quality) for name in ("gain", "gain_z"))
        h, w = tile.y.shape[:2]

        def even(x: Tensor) -> Tensor:
            return F.pad(x, (0, w % 2, 0, h % 2), mode="replicate")

        y = even(self._engine.tensor((tile.y * gain)[None]))
        z = self._engine.tensor((tile.z * gain_z)[None])
        x = self._engine.tensor(tile.pixels.astype(np.float32)[None]) / 255
        eye = None
        if tile.trade.eye and min(x.shape[2:]) >= SMALLEST_SIDE:
            eye = EyeDistance(x.shape[2], x.shape[3]).to(device)
        pace = SEEN if eye else SQUARED
        usual: Float = np.array(np.broadcast_to(np.asarray(tile.strength, np.float32), (h, w)))
        first = even(self._engine.tensor(usual[None, ..., None]))
        movable = even(self._engine.tensor((~tile.fixed).astype(np.float32)[None, ..., None]))
        worth = torch.from_numpy(np.array(tile.trade.weight)).to(device)[None, :, None, None]
        # an error in a busy cell is worth as much less as rounding there may do more
        by_cell = float(usual.mean()) / first
        curvature = 2 * _CURVATURE * (worth * by_cell + pace.floor).clamp_min(1e-6)
        target, strength, promised = y, first, 0.0
        at, decoded, slope, best = y, y, torch.zeros_like(y), y
        last = least = float("inf")
        for number in range(rounds + 1):
            ended = number == rounds or not go_on(number / rounds)
            with torch.set_grad_enabled(not ended):
                y_hat, moved, bits = self.walk(target, z, tile.quality, worth, strength)
                shown = self._engine.decoded(y_hat, tile.quality)[:, :, : 16 * h, : 16 * w]
                cost = bits + _worth(shown, x, tile.trade, eye)
                if not ended:
                    cost.backward()  # type: ignore[no-untyped-call]
            value = cost.item()
            if value < least * (1 + pace.slack):
                if number:
                    curvature = curvature * (pace.eased if value < last else _WARY)
                at, last = target, value
                if not ended:
                    assert moved.grad is not None
                    slope, decoded = moved.grad, y_hat.detach()
                if value < least:
                    best, least = y_hat.detach(), value
            else:
                # a parabola through both: what the slope promised, and what came of it
                bend = 2 * (value - last - promised) / -promised if promised < 0 else _TRUSTED
                curvature = curvature * min(max(bend, _TRUSTED), _DOUBTED)
            if ended:
                break
            share = number / max(1, rounds - 1)
            damping = pace.damping[0] * (pace.damping[1] / pace.damping[0]) ** share
            stronger = pace.strength[number > 0]
            target = at + damping * movable * (decoded - slope / curvature - at)
            target = torch.minimum(torch.maximum(target, y - _REACH), y + _REACH)
            promised = float((slope * (target - at)).sum())
            strength = torch.where(movable > 0, stronger * first / float(usual.mean()), first)
        return (array_of(best.detach())[0, :h, :w] / gain).astype(np.float32, copy=False)

    def walk(
        self, target: Tensor, z: Tensor, quality: int, worth: Tensor, strength: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the symbols of targets y (1, N, h, w), h and w even, and z, both after their gains.

        worth (1, N, 1, 1): bits that an error of one step^2 costs. strength (1, 1, h, w): as in
        `caecodec.entropy.rounding`. Returns y_hat; a leaf of its shape whose gradient is how anything made of
        y_hat and bits grows with each value, but for the bits of its own symbol; bits of all.
        """

        def row(name: str, scale: float = 1.0) -> Tensor:
            return self._tables[name][quality - 1][None, :, None, None] * scale

        z_mean = row("z_mean", 1 / ONE)
        symbols = torch.floor(z - z_mean + 0.5)
        bits = gaussian_bits(symbols, scale_of_index(row("z_index"))).sum()
        psi = (self._h_s((symbols + z_mean) * row("z_to_u", ONE)) + row("psi")) * self._of_psi
        psi = psi[:, :, : target.shape[2], : target.shape[3]]
        to_y, index_of, to_u = row("to_y", 1 / ONE), row("index"), row("to_u", ONE)

        n = target.shape[1]
        moved = torch.zeros_like(target, requires_grad=torch.is_grad_enabled())
        by_phase, moved_by_phase = (split_phases(t).reshape(4, -1, 4, n // 4) for t in (target, moved))
        strong = split_phases(strength)  # (4, cells, 1)
        done = [[torch.zeros_like(by_phase[0, :, 0])] * 4 for _ in range(4)]
        known: Tensor | None = None
        for step in range(STEPS):
            groups = [group_at(step, phase) for phase in range(4)]
            factor, added, weight = (t.reshape(4, 1, n // 4)[groups] for t in (to_y, index_of, worth))
            mean, index = self._context(step, psi, known)
            mean = mean * factor
            index = (index + added) * (1 / ONE)
            wanted = torch.stack([by_phase[p, :, g] for p, g in enumerate(groups)])
            with torch.no_grad():
                symbol = self._choose(wanted - mean, index, weight, strong)
            bits = bits + gaussian_bits(symbol, scale_of_index(index)).sum()
            value = symbol + mean + torch.stack([moved_by_phase[p, :, g] for p, g in enumerate(groups)])
            for p, g in enumerate(groups):
                done[p][g] = value[p]
            y_hat = merge_phases(torch.stack([torch.cat(parts, -1) for parts in done]), target)
            known = y_hat * to_u
        return y_hat, moved, bits

    def _choose(self, residual: Tensor, index: Tensor, weight: Tensor, strength: Tensor) -> Tensor:
        """What `caecodec.entropy.rounding.quantise` does, on tensors (4, cells, N/4)."""
        symbol = torch.floor(residual + 0.5)
        at = symbol.flatten().nonzero()[:, 0]  # few, mostly
        some, r, where = symbol.flatten()[at], residual.flatten()[at], index.flatten()[at]
        nearer = some - some.sign()
        added = ((r - nearer) ** 2 - (r - some) ** 2) * weight.expand_as(symbol).flatten()[at]
        table = torch.floor(where.clamp(0, SCALES - 1) + 0.5).long()
        size = some.abs().long().clamp(max=self._saving.shape[1] - 1)
        saved = self._saving[table, size] * strength.expand_as(symbol).flatten()[at]
        symbol.view(-1)[at] = torch.where(added < saved, nearer, some)
        return symbol


def _worth(shown: Tensor, x: Tensor, trade: Trade, eye: EyeDistance | None) -> Tensor:
    """Bits that the errors of a decoded tile, (1, 3, H, W) in [0, 1], are worth."""
    pixels = x.shape[2] * x.shape[3]
    bits = (trade.mse * 255**2 * pixels) * (shown - x).square().mean()
    return bits if eye is None else bits + (trade.eye * pixels) * eye(shown.clamp(0, 1), x).sum()


def _savings(tables: Tables) -> Float:
    """Bits that a symbol one nearer to zero saves: (tables, largest symbol + 1), by its absolute value."""
    largest = int(tables.tail.max())
    found = np.zeros((len(tables.tail), largest + 2), np.float32)
    for number in range(len(tables.tail)):
        size = np.arange(1, int(tables.tail[number]) + 1, dtype=np.int32)
        found[number, 1 : len(size) + 1] = tables.shrink_saves(size, np.full(len(size), number, np.uint8))
    return found
