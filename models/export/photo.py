"""The tensors of a photo model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.engines.numpy.networks import Analysis, Synthesis
from caecodec.engines.numpy.photo import HyperAnalysis
from caecodec.entropy.fixed_point import ACTIVATION, FRACTION_BITS, ONE, rows_of
from caecodec.entropy.order import STEPS
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.data.pictures import validation_crops
from caecodec.models.export import fitting
from caecodec.models.export.exactness import fitted_tables
from caecodec.models.export.fitting import Worth
from caecodec.models.export.heads import Head, integer_heads
from caecodec.models.export.integers import (
    HEADROOM,
    Float,
    Ranges,
    Stream,
    Tensors,
    as_numpy,
    bias_of,
    fixed,
    gaussian_tables,
    integer_block,
    integer_layer,
    loud,
    matrix,
    multiplier,
    readers_of,
    step_of,
)
from caecodec.models.export.ranges import Watch, stand_ins
from caecodec.models.export.transforms import LATENT_BITS, analysis, synthesis
from caecodec.models.networks import layers
from caecodec.models.networks.levels import error_weight, even_levels
from caecodec.models.networks.photo import Context, PhotoModel
from caecodec.models.networks.rate_model import SCALE_STEP
from caecodec.pictures.cells import CELL
from caecodec.tune import QUALITIES, TUNES

# y is quantised dependently (`caecodec.entropy.trellis`) from this scale index on, with this fine step in steps of the
# plain quantiser: on held-out crops 8, 14 and 16, and 0.6 and 0.7, were up to a percent behind. At smaller scales than
# 0.37 nearly all symbols are zero.
DENSE, FINE_STEP = 12, 0.65
_WATCHED = (0.0, 0.25, 0.5, 0.75, 1.0)  # levels at which ranges are met


def tensors_of(
    model: PhotoModel,
    levels: NDArray[np.float64] | None = None,
    worth: Worth | None = None,
    ranges: Ranges | None = None,
) -> Tensors:
    """All tensors of the weights file. Raises ModelError where the integers cannot be proven exact.

    levels: of qualities 1..100, of the first tune and then of the second where there is one; evenly spaced without.
    worth: of errors to an eye; without it nothing is known of eyes. ranges: how large activations get (`ranges_of`);
    those of synthetic pictures without.
    """
    levels = np.tile(even_levels(), model.config.tunes) if levels is None else levels
    ranges = ranges_of(model, stand_ins(10, 128)) if ranges is None else ranges
    rows = Rows(model, levels)
    tensors = entropy_network(model, ranges, rows) | synthesis(model.g_s, ranges, rows.gain_out, rows.modulation)
    tensors |= analysis(model.g_a, ranges, ranges["h_a.stem"] / rows.normaliser)
    tensors |= hyper_analysis(model, ranges, np.asarray(tensors["g_a.unit"], np.float64))
    tensors |= gaussian_tables(DENSE, FINE_STEP) | {
        "quality.step": fixed(np.full((len(levels), 1), FINE_STEP), FRACTION_BITS)
    }
    tensors |= encoder_tables(model, levels, rows)
    if worth is not None:
        tensors |= eye_tables(worth.at(levels[:QUALITIES]), tensors)
    prove(tensors)
    return tensors


def prove(tensors: Tensors) -> None:
    """Raise ModelError unless all networks are whole and no sum can leave its bounds."""
    EntropyNetwork(tensors)
    HyperAnalysis(tensors, Analysis(tensors, CELL).n)
    Synthesis(tensors, CELL, rows_of(tensors))


def fitted(model: PhotoModel, path: Path) -> tuple[Tensors, str]:
    """All tensors with what is measured on pictures: ranges, what an eye sees, qualities, tables; and a note on it.

    path: photographs of at least 256x256. Raises FileNotFoundError where there are none, ModelError.
    """
    crops = validation_crops([path], 256, torch.device("cpu"))
    pictures = fitting.photographs([path], 24)
    ranges = ranges_of(model, crops[:: -(-len(crops) // 40)])
    worth = fitting.measure(model.tuned("eye"), crops[:: -(-len(crops) // 20)])
    some = range(1, QUALITIES + 1, 9)
    tensors = tensors_of(model, None, worth, ranges)
    note, levels = f"fitted to {path.name}", []
    for tune in TUNES[: model.config.tunes]:
        even = even_levels()
        reached = fitting.scores(tensors, model.config.to_dict(), pictures, some, tune).mean(0)
        try:
            levels.append(fitting.levels_of_qualities(even[[quality - 1 for quality in some]], reached))
        except ValueError as exc:
            note += f"; qualities are evenly spaced, for {exc}"
            levels.append(even)
    tensors = tensors_of(model, np.concatenate(levels), worth, ranges)
    return tensors | fitted_tables(model, tensors, crops[:: -(-len(crops) // 80)]), note


@torch.inference_mode()
def ranges_of(model: PhotoModel, crops: Tensor) -> Ranges:
    """Largest magnitudes of all activations on crops (P, 3, H, W) uint8, H and W multiples of 64, at several levels.

    Named after the layers that read them as in a weights file; beside these "g_s.stem out", "int.context" (what heads
    read), "int.context of 0" (in step 0), "psi", "z" and "z_hat"; of the context of z "int.context_z" and
    "int.context_z of 0".
    """
    watch = Watch()
    outputs = {"g_s.stem": "g_s.stem out", "h_a.down2": "z", "context.trunk": "context", "context_z.trunk": "context_z"}
    firsts = [
        context.first.register_forward_hook(
            lambda module, inputs, out, name=name: watch.note(f"{name} of 0", out.clamp_min(0), 1)
        )
        for name, context in (("context", model.context), ("context_z", model.context_z))
    ]
    with watch.over(model, outputs):
        for crop in crops:
            x = (crop[None].float() / 255).contiguous(memory_format=torch.channels_last)
            for level in _WATCHED:
                for tune in range(model.config.tunes):
                    model(x, torch.tensor([level]), hard=True, tune=torch.tensor([tune]))
    for first in firsts:
        first.remove()
    inside = ("h_s", "context")
    ranges = {f"int.{key}" if key.startswith(inside) else key: met for key, met in watch.largest.items()}
    read = [ranges[f"int.context.adaptors.{step}"] for step in range(STEPS - 1)]
    ranges["psi"] = np.max([ranges["int.context.first"], *(met[model.config.n :] for met in read)], axis=0)
    of_z = [ranges[f"int.context_z.adaptors.{step}"][: model.config.z] for step in range(STEPS - 1)]
    ranges["z_hat"] = np.max([ranges["int.h_s.up1"], *of_z], axis=0)
    ranges["u"] = np.max([met[: model.config.n] for met in read], axis=0)
    return ranges


class Rows:
    """What a model has of each quality, of one tune after the other, (rows, channels), as real numbers."""

    def __init__(self, model: PhotoModel, levels: NDArray[np.float64]) -> None:
        at = model.position(torch.from_numpy(levels), torch.arange(len(levels)) // QUALITIES)

        def rows(table: Tensor) -> Float:
            return as_numpy(layers.between(table.double(), at)[:, :, 0, 0])

        self.normaliser = as_numpy(model.normaliser)
        log_gain, self.log_gain_z = rows(model.log_gain), rows(model.log_gain_z)
        self.gain, self.gain_z = np.exp(log_gain), np.exp(self.log_gain_z)
        self.gain_out = np.exp(rows(model.log_gain_out) - log_gain)
        self.log_ratio = log_gain - np.log(self.normaliser)
        self.psi, self.psi_z = rows(model.psi_bias), rows(model.psi_z)
        self.modulation = rows(model.modulation)


def encoder_tables(model: PhotoModel, levels: NDArray[np.float64], rows: Rows) -> Tensors:
    """What an encoder needs of each quality: gains in front of both roundings, and what errors are worth."""
    lam = np.array([model.config.lambda_at(level) for level in levels])
    power = (as_numpy(model.g_s.linear.weight) ** 2).sum(axis=0)
    weight = error_weight(lam[:, None], power, rows.gain_out**2)
    return {
        "float.gain": rows.gain.astype(np.float32),
        "float.gain_z": rows.gain_z.astype(np.float32),
        "float.lambda": lam.astype(np.float32),  # bits a pixel that an MSE of 1 is worth
        "float.weight": weight.astype(np.float32),  # bits an error of one step^2 is worth
    }


def eye_tables(worth: Worth, tensors: Tensors) -> Tensors:
    """Of each quality of the first tune, for encoders only: see `caecodec.models.networks.trade`."""
    weight = np.asarray(tensors["float.weight"], np.float64)[: len(worth.eye)]
    return {
        "float.eye": worth.eye.astype(np.float32),
        "float.eye_weight": (worth.ratio * weight).astype(np.float32),
        "float.activity": np.stack((worth.usual, worth.slope), axis=1).astype(np.float32),
    }


def hyper_analysis(model: PhotoModel, ranges: Ranges, unit_y: Float) -> Tensors:
    """h_a, which reads y in units of unit_y (N,)."""
    h_a = model.h_a
    u = step_of(ranges["h_a.stem"])
    stream1 = Stream(ranges, [*readers_of(["h_a.block1"]), *_folded(ranges, "h_a.down1")])
    stream2 = Stream(ranges, [*readers_of(["h_a.block2"]), *_folded(ranges, "h_a.down2")])
    unit = loud(ranges["z"]) * (HEADROOM / 2.0**LATENT_BITS)
    out = multiplier("h_a.scale", unit_y * as_numpy(model.normaliser) / u)
    out |= integer_layer("h_a.stem", matrix(h_a.stem), bias_of(h_a.stem), u, stream1.step)
    out |= integer_block("h_a.block1", h_a.block1, ranges, stream1)
    for name, layer, stream, step in (("down1", h_a.down1, stream1, stream2.step), ("down2", h_a.down2, stream2, unit)):
        (reader,) = _folded(ranges, f"h_a.{name}")
        read, narrow = np.tile(stream.read(reader), 4), stream.narrow(reader)
        out |= integer_layer(f"h_a.{name}", matrix(layer), bias_of(layer), read, step, narrow)
    out |= integer_block("h_a.block2", h_a.block2, ranges, stream2)
    return out | {"h_a.unit": unit.astype(np.float32)}


def _folded(ranges: Ranges, name: str) -> list[str]:
    """A layer that reads four cells at once: its range as one of a stream's channels, under a name of its own."""
    assert isinstance(ranges, dict)
    ranges[f"{name} of one cell"] = ranges[name].reshape(4, -1).max(axis=0)
    return [f"{name} of one cell"]


def entropy_network(model: PhotoModel, ranges: Ranges, rows: Rows) -> Tensors:
    """The `int.*` and `quality.*` tensors: h_s and the contexts of y and z."""
    h_s, context = model.h_s, model.context
    z_step, u_step = step_of(ranges["z_hat"]), step_of(ranges["u"])
    stream1 = Stream(ranges, [*readers_of(["int.h_s.block1"]), "int.h_s.up2"])
    stream2 = Stream(ranges, [*readers_of(["int.h_s.block2"]), "psi"])
    out = integer_layer("int.h_s.up1", matrix(h_s.up1), bias_of(h_s.up1), z_step, np.tile(stream1.step, 4))
    out |= integer_block("int.h_s.block1", h_s.block1, ranges, stream1)
    out |= integer_layer(
        "int.h_s.up2",
        matrix(h_s.up2),
        bias_of(h_s.up2),
        stream1.read("int.h_s.up2"),
        np.tile(stream2.step, 4),
        stream1.narrow("int.h_s.up2"),
    )
    out |= integer_block("int.h_s.block2", h_s.block2, ranges, stream2)
    out["int.h_s.narrow"] = np.array([stream2.narrow("psi")], np.int32)
    psi = stream2.read("psi")

    out |= context_network(context, "context", "", ranges, rows.log_ratio, psi, u_step)
    # a table, which nothing clamps: it has to fit at qualities between those at which ranges were met too
    psi_z = np.maximum(step_of(ranges["int.context_z.first"]), np.abs(rows.psi_z).max(axis=0) / ACTIVATION)
    out |= context_network(model.context_z, "context_z", "z_", ranges, rows.log_gain_z, psi_z, z_step)
    return out | {"quality.psi": fixed(rows.psi / stream2.step), "quality.z_psi": fixed(rows.psi_z / psi_z)}


def context_network(
    context: Context, part: str, prefix: str, ranges: Ranges, log_ratio: Float, psi: Float, u_step: Float
) -> Tensors:
    """The tensors int.PART.* and quality.PREFIXto_u, ... of the context of y or z.

    log_ratio (rows, N) takes the context's domain to the quantiser's; psi (C,) and u_step (N,): the steps in which psi
    and known latents are read.
    """
    name, n = f"int.{part}", log_ratio.shape[1]
    trunk = [f"{name}.trunk.{number}" for number, _ in enumerate(context.trunk)]
    stream = Stream(ranges, [*readers_of(trunk), name])
    features = step_of(ranges[f"{name} of 0"])
    out = integer_layer(f"{name}.first", matrix(context.first), bias_of(context.first), psi, features)
    for step, adaptor in enumerate(context.adaptors):
        read = np.concatenate((u_step, psi))
        of_step = f"{name}.adaptors.{step}"
        out |= integer_layer(of_step, matrix(adaptor), bias_of(adaptor), read, stream.step)  # type: ignore[arg-type]
    for of_block, block in zip(trunk, context.trunk, strict=True):
        out |= integer_block(of_block, block, ranges, stream)  # type: ignore[arg-type]
    out[f"{name}.narrow"] = np.array([stream.narrow(name)], np.int32)

    weight, bias = as_numpy(context.head_weight), as_numpy(context.head_bias)
    reads, quarter = [features, *[stream.read(name)] * (STEPS - 1)], n // STEPS
    heads = [
        Head(
            f"{name}.head.{step}.{group}",
            slice(group * quarter, (group + 1) * quarter),
            weight[step, group],
            bias[step, group],
            reads[step],
        )
        for step in range(STEPS)
        for group in range(STEPS)
    ]
    tensors, mean_unit = integer_heads(heads, n)
    out |= tensors
    out |= multiplier(f"quality.{prefix}to_u", np.exp(-log_ratio) / (ONE * u_step))
    out |= multiplier(f"quality.{prefix}to_y", np.exp(log_ratio) * ONE * mean_unit)
    out[f"quality.{prefix}index"] = fixed(log_ratio / SCALE_STEP, FRACTION_BITS)
    return out
