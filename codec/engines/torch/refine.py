"""Rounds over the symbols of a tile on torch: one differentiable walk through context and decoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.engines.protocol import Chosen, Refinement
from caecodec.engines.torch.device import memory
from caecodec.engines.torch.engine import array_of
from caecodec.engines.torch.integers import load_integers, multiplier, real_layer
from caecodec.engines.torch.photo import TorchPhotoEngine
from caecodec.entropy import trellis
from caecodec.entropy.fixed_point import ONE, SCALES
from caecodec.entropy.order import STEPS, group_at
from caecodec.entropy.rounding import Unrounded
from caecodec.entropy.tables import Tables
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.networks.eye import EyeDistance
from caecodec.models.networks.photo import Context, PhotoConfig, merge_phases, split_phases
from caecodec.models.networks.quantize import bounded
from caecodec.models.networks.rate_model import gaussian_bits, scale_of_index
from caecodec.models.networks.trade import Trade
from caecodec.pictures.ssimulacra2 import SMALLEST_SIDE
from caecodec.zoo.file import Model

Float = NDArray[np.float32]


class Rounds:
    """Differentiable copies of one model's context and g_s. z does not move: it and its psi are exact."""

    def __init__(self, model: Model, engine: TorchPhotoEngine, tables: Tables) -> None:
        config = PhotoConfig(**model.info.config)  # type: ignore[arg-type]
        self._engine = engine
        self._context = load_integers(Context.of_y(config), model.tensors, "int.context").to(engine.device)
        of_context = 2.0 ** -int(model.tensors["int.context.narrow"].item())
        with torch.no_grad():
            for step in range(STEPS):
                for group in range(STEPS):
                    weight, bias = real_layer(model.tensors, f"int.context.head.{step}.{group}")
                    self._context.head_weight[step, group] = weight * (of_context if step else 1.0)
                    self._context.head_bias[step, group] = bias
        self._tables = {
            "index": torch.from_numpy(np.array(model.tensors["quality.index"], np.float32)).to(engine.device)
        } | {key: multiplier(model.tensors, f"quality.{key}").to(engine.device) for key in ("to_u", "to_y")}
        network = EntropyNetwork(model.tensors)
        self._exact, self._coded_with = LatentCodec(network, tables), tables
        self._network = network
        self._saving = torch.from_numpy(_savings(tables)).to(engine.device)

    def trial(self, tile: Refinement) -> TorchTrial:
        """One tile. Raises LimitError."""
        with memory(self._engine.device):
            return TorchTrial(self, self._engine, tile)

    def psi(self, z: Float, quality: int) -> tuple[Tensor, float]:
        """z (h, w, Z) after its gain -> psi (1, C, 4h, 4w) and the bits of z."""
        psi, bits = self._exact.psi(z, quality)
        return self._engine.tensor(psi[None].astype(np.float32)), bits

    def walk(
        self, target: Tensor, psi: Tensor, quality: int, worth: Tensor, strength: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the symbols of targets y (1, N, h, w), h and w even, after their gain. psi: of these or more cells.

        worth (1, N, 1, 1): bits that an error of one step^2 costs. strength (1, 1, h, w): as in
        `caecodec.entropy.rounding`. Returns y_hat; a leaf of its shape whose gradient is how anything made of
        y_hat and bits grows with each value, but for the bits of its own symbol; bits of y.
        """

        def row(name: str, scale: float = 1.0) -> Tensor:
            return self._tables[name][quality - 1][None, :, None, None] * scale

        bits = target.new_zeros(())
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
            fine = self._network.quality(quality).of_y.step
            if fine is None:
                with torch.no_grad():
                    chosen = self._choose(wanted - mean, index, weight, strong)
                bits = bits + gaussian_bits(chosen, scale_of_index(index)).sum()
            else:
                chosen, taken = self._choose_path(wanted - mean, index, weight, strong, fine)
                bits = bits + taken
            value = chosen + mean + torch.stack([moved_by_phase[p, :, g] for p, g in enumerate(groups)])
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

    def _choose_path(
        self, residual: Tensor, index: Tensor, weight: Tensor, strength: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        """What `caecodec.entropy.trellis.choose` does -> what symbols add to their means, and their bits in all.

        Bits of dependent symbols lie on straight lines between the tables of whole indices.
        """

        def flat(x: Tensor) -> NDArray[np.float64]:
            return x.detach().expand_as(residual).flatten().double().cpu().numpy()

        tables = self._coded_with
        whole = np.floor(flat(index).clip(0, SCALES - 1) + 0.5).astype(np.uint8)
        values = Unrounded(flat(residual) * ONE, flat(weight), flat(strength).astype(np.float32))
        symbols, numbers = trellis.choose(values, np.zeros(len(whole)), whole, tables, step)
        dense = numbers >= SCALES
        node = np.clip(np.floor(flat(index)[dense]), tables.dense, SCALES - 1).astype(np.uint8)
        second = numbers[dense] & 1
        ends = [
            torch.from_numpy(tables.costs(symbols[dense], tables.number(at, second)))
            for at in (node, np.minimum(node + 1, SCALES - 1))
        ]
        low, high = (end.to(residual) for end in ends)
        there = torch.from_numpy(dense).to(residual.device)
        at = bounded(index.flatten(), 0.0, SCALES - 1.0)
        between = (at[there] - torch.from_numpy(node).to(residual)).clamp(0, 1)
        plain = torch.from_numpy(symbols).to(residual)[~there]
        bits = gaussian_bits(plain, scale_of_index(at[~there])).sum() + (low + (high - low) * between).sum()
        offsets = torch.from_numpy(trellis.offsets(symbols, numbers, step) / ONE)
        return offsets.to(residual).view(residual.shape), bits


class TorchTrial:
    """See `caecodec.engines.protocol.Trial`."""

    def __init__(self, rounds: Rounds, engine: TorchPhotoEngine, tile: Refinement) -> None:
        self._rounds, self._engine = rounds, engine
        self._quality, self._trade = tile.quality, tile.trade
        assert tile.z is not None
        self._psi, self._bits_z = rounds.psi(tile.z * engine.row("gain_z", tile.quality), tile.quality)
        self._x = engine.tensor(tile.pixels.astype(np.float32)[None]) / 255
        self._worth = torch.from_numpy(np.array(tile.trade.weight)).to(engine.device)[None, :, None, None]
        self._eye = None
        height, width = self._x.shape[2:]
        if tile.trade.eye and min(height, width) >= SMALLEST_SIDE:
            self._eye = EyeDistance(height, width).to(engine.device)

    def __call__(self, target: Float, strength: Float, *, slope: bool) -> Chosen:
        engine = self._engine
        height, width = self._x.shape[2:]
        with memory(engine.device), torch.set_grad_enabled(slope):
            wanted, strong = engine.tensor(target[None]), engine.tensor(strength[None, ..., None])
            y_hat, moved, bits = self._rounds.walk(wanted, self._psi, self._quality, self._worth, strong)
            shown = engine.decoded(y_hat, self._quality)[:, :, :height, :width]
            cost = self._bits_z + bits + _worth(shown, self._x, self._trade, self._eye)
            if slope:
                cost.backward()  # type: ignore[no-untyped-call]
            grown = None if moved.grad is None else array_of(moved.grad)[0]
            return Chosen(array_of(y_hat.detach())[0], cost.item(), grown)


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
