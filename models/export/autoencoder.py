"""The tensors of an autoencoder's codec: its network, its gains, and integer tables of its prior, or its context.

Without a context a channel has another density at every quality; each of these is coded by the nearest of 64 tables,
chosen so that few bits are lost.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.entropy.fixed_point import ONE, SCALES
from caecodec.errors import UsageError
from caecodec.latents.autoencoder import PLACES, SILENT, FactorisedLatents
from caecodec.latents.tiny_network import ContextNetwork
from caecodec.models.export.context import context_network, named
from caecodec.models.export.integers import TAIL_MASS, Ranges, Tensors, as_numpy, gaussian_tables, integer_table
from caecodec.models.export.ranges import Watch
from caecodec.models.networks import layers
from caecodec.models.networks.autoencoder import AutoencoderModel
from caecodec.models.networks.levels import error_weight, even_levels
from caecodec.tune import QUALITIES

REACH = 255  # symbols beyond it are left to the escape
QUIET = 1e-4  # a channel that is non-zero less often is not coded
PLACE_TABLES = 16
ROUNDS = 12
DRAWN = 100
TWICE = 2.0  # as far out as pictures go
# times what an error in y does alone: with errors in all channels at once the decoder makes more of it. At equal bytes
# cifar10 lost with 1 against plain rounding, and gained with 3.
WORTH = 3.0

Masses = NDArray[np.float64]


def tensors_of(model: AutoencoderModel) -> Tensors:
    """All tensors of the weights file.

    Raises UsageError for a network as drawn, ModelError where the integers of a context cannot be proven exact.
    """
    if model.config.form == "drawn":
        raise UsageError("an autoencoder as drawn: only its codec form makes files")
    level = torch.from_numpy(even_levels()).float().double()  # as float32 rounds them: model ids hang on it

    def rows(table: Tensor) -> NDArray[np.float64]:
        return as_numpy(layers.interpolate(table.double(), level)[:, :, 0, 0])

    log_gain, gain_out = rows(model.log_gain), np.exp(-rows(model.log_gain_out))
    gain = np.exp(log_gain)
    out: Tensors = {"float.gain": gain.astype(np.float32)}
    if model.config.groups:
        log_ratio = log_gain - np.log(as_numpy(model.normaliser))
        bias = rows(model.context_bias)
        out |= context_network(model.context, ranges_of(model), log_ratio, np.stack((bias, bias))) | gaussian_tables()
        out["float.offset"] = np.zeros(gain.shape, np.float32)
        out["float.gain_out"] = (gain_out / ONE).astype(np.float32)  # y_hat has fraction bits
        lam = np.array([model.config.lambda_at(at) for at in level.tolist()])
        weight = error_weight(lam[:, None], WORTH * as_numpy(model.power), gain_out**2)
        out["float.weight"] = weight.astype(np.float32)
    else:
        out["float.offset"] = (gain * as_numpy(model.prior.centre())).astype(np.float32)
        out["float.gain_out"] = gain_out.astype(np.float32)
        out |= prior_tables(model, gain)
    for key, value in model.network.state_dict().items():
        if value.is_floating_point():  # but not the counter of batch normalisation
            kind = np.float32 if value.ndim == 1 else np.float16
            out[f"network.{key}"] = value.detach().cpu().float().contiguous().numpy().astype(kind)
    for part in ("turn", "turn_back"):
        for key, value in getattr(model, part).state_dict().items():
            out[f"{part}.{key}"] = as_numpy(value).astype(np.float16 if value.ndim == 4 else np.float32)
    if model.config.groups:
        ContextNetwork(out)  # prove the bounds
    else:
        places = sum(map(math.prod, model.network.cells))
        FactorisedLatents(out, math.prod(model.network.latent[1:]), gain.shape[1], places)
    return out


@torch.inference_mode()
def ranges_of(model: AutoencoderModel) -> Ranges:
    """Largest magnitudes in the context, of y drawn from what training met: normal, of each channel's deviation."""
    deviation = model.normaliser**-2
    y = torch.randn(DRAWN, len(deviation), *model.network.latent[1:], generator=torch.Generator().manual_seed(1))
    watch = Watch()
    with watch.over(model):
        for level in (0.0, 0.25, 0.5, 0.75, 1.0):
            model.code(y * deviation[:, None, None] * TWICE, torch.full((len(y),), level), hard=True)
    return named(watch)


def prior_tables(model: AutoencoderModel, gain: NDArray[np.float64]) -> Tensors:
    """gain (100, C) -> the tables, and which of them codes each channel at each quality, and each unpooling place."""
    channels = gain.shape[1]
    index = np.full((QUALITIES, channels), SILENT, np.uint8)
    with_places = model.network.cells != ()
    masses = np.concatenate([symbol_masses(model, row) for row in gain])  # (100 * C, 2 * REACH + 1)
    audible = np.flatnonzero(1 - masses[:, REACH] > QUIET)
    tables, nearest = cluster(masses[audible], SCALES - (PLACE_TABLES if with_places else 0))
    index.reshape(-1)[audible] = nearest
    frequencies, tails = [], []
    for table in tables:
        beyond = [table[:k].sum() + table[len(table) - k :].sum() for k in range(REACH + 1)]
        tail = next((REACH - k for k in range(REACH, 0, -1) if beyond[k] < TAIL_MASS), REACH)
        inside = table[REACH - tail : REACH + tail + 1]
        frequencies.append(integer_table(np.append(inside, max(1 - inside.sum(), TAIL_MASS))))
        tails.append(tail)
    place_index = np.zeros(0, np.uint8)
    if with_places:
        shares = as_numpy(model.place_share) + 1e-4
        places, chosen = cluster(shares / shares.sum(1, keepdims=True), PLACE_TABLES)
        place_index = (len(frequencies) + chosen).astype(np.uint8)
        for share in places:  # places 0..3 are coded as -1..2 of a table of tail 2
            frequencies.append(integer_table(np.concatenate(([0.0], share, [0.0]))))
            tails.append(PLACES // 2)
    while len(frequencies) < SCALES:
        frequencies.append(integer_table(np.ones(2)))
        tails.append(0)
    return {
        "table.frequencies": np.concatenate(frequencies),
        "table.tail": np.array(tails, np.int32),
        "quality.table": index,
        "place.table": place_index,
    }


@torch.no_grad()
def symbol_masses(model: AutoencoderModel, gain: NDArray[np.float64]) -> Masses:
    """gain (C,) -> probability of each symbol -REACH..REACH of each channel, (C, 2 * REACH + 1)."""
    g = torch.from_numpy(gain)
    prior = model.prior.double()
    symbol = torch.arange(-REACH, REACH + 1, dtype=torch.float64)[:, None]
    centre = prior.centre()
    mass = as_numpy(prior.mass(centre + (symbol - 0.5) / g, centre + (symbol + 0.5) / g)).T
    model.prior.float()
    return np.ascontiguousarray(mass)


def cluster(masses: Masses, count: int) -> tuple[Masses, NDArray[np.intp]]:
    """Distributions (M, K) -> at most `count` tables (T, K), and the nearest (M,) of each in lost bits (k-means)."""
    if not len(masses):
        return masses, np.zeros(0, np.intp)
    smooth = masses + 1e-9
    smooth /= smooth.sum(1, keepdims=True)
    entropy = -(smooth * np.log2(smooth)).sum(1)
    order = np.argsort(entropy)
    tables = smooth[order[np.linspace(0, len(order) - 1, min(count, len(order))).astype(int)]]
    nearest = np.zeros(len(smooth), np.intp)
    for _ in range(ROUNDS):
        nearest = (smooth @ -np.log2(tables).T).argmin(1)
        used = np.unique(nearest)
        tables = np.stack([smooth[nearest == t].mean(0) for t in used])
    nearest = (smooth @ -np.log2(tables).T).argmin(1)
    return tables, nearest
