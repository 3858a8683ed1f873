"""A photo model as it will code: what exactness costs, and tables fitted to the symbols that occur."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.engines.numpy.networks import Synthesis
from caecodec.entropy.fixed_point import rows_of
from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.entropy.tables import Tables
from caecodec.format.container import CHECK_BYTES
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.export.integers import Tensors, gaussian_tables, integer_table
from caecodec.models.networks.layers import interpolate
from caecodec.models.networks.photo import PhotoModel
from caecodec.models.networks.trade import activity, trade
from caecodec.pictures.cells import CELL
from caecodec.pictures.picture import mse
from caecodec.tune import QUALITIES, TUNES, row

FITTED_QUALITIES = (1, 5, 12, 20, 30, 40, 50, 60, 70, 80, 90, 100)
# what the Gaussian counts for in each table, for symbols that the pictures lack; 10^3 and 10^5 did as well
_PRIOR_SYMBOLS = 1e4


@dataclass(frozen=True, slots=True)
class Cost:
    """The same pictures by a float model and by its integers.

    bits: of the same latents, under the Gaussians that the model was trained with in both. psnr: of pictures as they
    come back, on average.
    """

    quality: int
    float_bits: float
    integer_bits: float
    float_psnr: float
    integer_psnr: float

    @property
    def growth(self) -> float:
        """Relative: 0.001 is a tenth of a percent more."""
        return self.integer_bits / self.float_bits - 1


@torch.inference_mode()
def cost_of_integers(
    model: PhotoModel, tensors: Mapping[str, NDArray[np.generic]], crops: Tensor, quality: int
) -> Cost:
    """crops (P, 3, H, W) uint8, H and W multiples of 64 -> Cost over them."""
    plain = {key: tensor for key, tensor in tensors.items() if key != "quality.step"}  # as the float model has it
    codec, _ = _codec_of(plain | gaussian_tables())
    g_s = Synthesis(tensors, CELL, rows_of(tensors))
    model = model.tuned("eye")
    level = torch.tensor([model.config.level_of(float(tensors["float.lambda"][quality - 1]))])
    gain = interpolate(model.log_gain, level).exp()
    gain_z = interpolate(model.log_gain_z, level).exp()
    float_bits = integer_bits = 0.0
    measured = []
    for crop in crops:
        x = (crop[None].float() / 255).contiguous(memory_format=torch.channels_last)
        out = model(x, level, hard=True)
        float_bits += float(out["bits_y"] + out["bits_z"]) * x.shape[2] * x.shape[3]
        y = model.g_a(x - 0.5)
        z = model.h_a(y * model.normaliser[:, None, None]) * gain_z
        coded, y_hat = codec.cost(_array(y * gain), _array(z), quality)
        integer_bits += 8 * (coded - CHECK_BYTES)
        shown = np.clip(np.floor(_array(out["x_hat"]) * 255 + 0.5), 0, 255).astype(np.uint8)
        original = crop.permute(1, 2, 0).numpy()
        errors = [max(mse(original, pixels), 1e-9) for pixels in (shown, g_s(y_hat, quality))]
        measured.append([10 * math.log10(255**2 / error) for error in errors])
    float_psnr, integer_psnr = np.mean(measured, axis=0).tolist()
    return Cost(quality, float_bits, integer_bits, float_psnr, integer_psnr)


@torch.inference_mode()
def fitted_tables(model: PhotoModel, tensors: Mapping[str, NDArray[np.generic]], crops: Tensor) -> Tensors:
    """The tables of `tensors` fitted to the symbols of crops as they are coded at many qualities.

    crops (P, 3, H, W) uint8, H and W multiples of 64. Each table is the Gaussian's and the symbols' mean, weighted by
    their numbers and the same for both signs. What rate-distortion optimised rounding does to symbols is in it; where a
    path is looked for, tables and paths follow each other, so there it is done twice.
    """
    fitted: Tensors = {}
    for _ in range(2 if "quality.step" in tensors else 1):
        fitted = _fitted_once(model, tensors, fitted, crops)
    return fitted


def _fitted_once(
    model: PhotoModel, tensors: Mapping[str, NDArray[np.generic]], chosen_by: Tensors, crops: Tensor
) -> Tensors:
    """chosen_by: tables that symbols are chosen by, in place of those of `tensors`."""
    codec, _ = _codec_of({**tensors, **chosen_by})
    _, tables = _codec_of(tensors)
    counts = np.zeros(tables.bits.shape)
    gain, gain_z = (np.asarray(tensors[f"float.{key}"], np.float32) for key in ("gain", "gain_z"))
    tunes = TUNES[: rows_of(tensors) // QUALITIES]
    rows = {row(quality, tune, rows_of(tensors)): tune for tune in tunes for quality in FITTED_QUALITIES}
    worth = {number: trade(tensors, number, tune) for number, tune in rows.items()}
    for crop in crops:
        busy = activity(crop.permute(1, 2, 0).numpy())
        y = model.g_a((crop[None].float() / 255).contiguous(memory_format=torch.channels_last) - 0.5)
        z = _array(model.h_a(y * model.normaliser[:, None, None]))
        for number, errors in worth.items():
            scaled = _array(y) * gain[number - 1], z * gain_z[number - 1]
            counts += codec.tally(*scaled, number, errors.weight, errors.strength(RDO_STRENGTH, busy))
    fitted = []
    for tail, bits, seen in zip(tables.tail, tables.bits, counts, strict=True):
        entries = 2 * int(tail) + 2
        both = seen[:entries].copy()
        both[:-1] = (both[:-1] + both[-2::-1]) / 2
        fitted.append(integer_table(both + _PRIOR_SYMBOLS * 2.0 ** -bits[:entries]))
    return {"table.frequencies": np.concatenate(fitted)}


def _codec_of(tensors: Mapping[str, NDArray[np.generic]]) -> tuple[LatentCodec, Tables]:
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
    return LatentCodec(EntropyNetwork(tensors), tables), tables


def _array(x: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = x[0].permute(1, 2, 0).contiguous().numpy()
    return array
