"""What errors of a photo model's latents are worth to an eye, and which level each quality stands for: measured.

In training a model pays `eye_lambda` bits a pixel for a point of SSIMULACRA2. With the slope g of that by each latent
at what was decoded, an error e costs about g e / 2 (its slope at no error is zero), in one channel e^2 sum(g e) / 2
sum(e^2). Busy surroundings hide errors: the same quotient, by the activity of cells, falls along a line in logarithms.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.models.data.pictures import LOSSLESS_SUFFIXES, encoded_pictures, read
from caecodec.models.networks.eye import EyeDistance, eye_lambda
from caecodec.models.networks.layers import interpolate
from caecodec.models.networks.levels import error_weight
from caecodec.models.networks.photo import PhotoModel, Steps
from caecodec.models.networks.rate_model import code
from caecodec.models.networks.trade import activity
from caecodec.pictures.picture import Pixels, from_array
from caecodec.pictures.ssimulacra2 import score
from caecodec.tune import QUALITIES, Tune
from caecodec.zoo.file import Model, ModelInfo

Float = NDArray[np.float64]
LEVELS = tuple(step / 8 for step in range(9))
# a channel that is hardly ever coded measures nothing but noise
_LEAST, _MOST = 0.05, 20.0
_SMALLEST = 256  # side of a picture that scores are taken of
_LINEAR = 30, 90  # qualities that are SSIMULACRA2 of an average photograph; beyond, levels go on evenly to both ends


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """At levels (K,): eye (K,), bits a pixel for a point of SSIMULACRA2; ratio (K, N), what an error in each channel is
    worth to the eye over what it is worth in squared error; usual and slope (K,), by activity (see `codec.trade`).
    """

    levels: Float
    eye: Float
    ratio: Float
    usual: Float
    slope: Float

    def at(self, level: Float) -> Worth:
        """Between the levels, each by itself."""

        def between(values: Float) -> Float:
            return np.interp(level, self.levels, values)

        ratio = np.stack([between(column) for column in self.ratio.T], axis=1)
        return Worth(level, between(self.eye), ratio, between(self.usual), between(self.slope))


def measure(model: PhotoModel, crops: Tensor, levels: Sequence[float] = LEVELS) -> Worth:
    """crops (P, 3, S, S) uint8, S a multiple of 64 -> Worth. A second for each crop and level, about."""
    rows = [_at_level(model, crops, level) for level in levels]
    eye, ratio, usual, slope = zip(*rows, strict=True)
    return Worth(np.array(levels), np.array(eye), np.stack(ratio), np.array(usual), np.array(slope))


def _at_level(model: PhotoModel, crops: Tensor, level: float) -> tuple[float, Float, float, float]:
    n = model.config.n
    seen = EyeDistance(crops.shape[-1])
    by_eye, by_error, busy, cell_eye, cell_mse = np.zeros(n), np.zeros(n), [], [], []
    lam = model.config.lambda_at(level)
    worth = float(eye_lambda(torch.tensor(lam)))
    for crop in crops:
        x = (crop[None].float() / 255).contiguous(memory_format=torch.channels_last)
        error, slope, weight = _slope(model, x, level, seen)
        eye = error * slope * (worth * x.shape[2] * x.shape[3] / 2)  # bits, (N, h, w)
        squared = error**2
        by_eye += eye.sum((1, 2))
        by_error += squared.sum((1, 2))
        busy.append(activity(crop.permute(1, 2, 0).numpy()).ravel())
        cell_eye.append(eye.sum(0).ravel())
        cell_mse.append((squared * weight[:, None, None]).sum(0).ravel())
    ratio = by_eye / np.maximum(by_error * weight, 1e-9)
    # of one height in all, so that the same quality takes about the same bytes whatever it looks at
    level_of_both = by_eye.sum() / (by_error * weight).sum()
    usual, fall = _line(np.concatenate(busy), np.concatenate(cell_eye), np.concatenate(cell_mse))
    return worth / level_of_both, np.clip(ratio / level_of_both, _LEAST, _MOST), usual, fall


def _slope(model: PhotoModel, x: Tensor, level: float, seen: EyeDistance) -> tuple[Float, Float, Float]:
    """One picture as it is coded at a level -> error and slope of the eye's distance (N, h, w), weight (N,) in MSE."""
    at = torch.tensor([level])
    with torch.no_grad():
        gain_z = interpolate(model.log_gain_z, at).exp()
        log_gain = interpolate(model.log_gain, at)
        log_out = interpolate(model.log_gain_out, at) - log_gain
        w = model.normaliser[None, :, None, None]
        power = model.g_s.linear.weight.square().sum(0)[None, :, None, None]
        weight = error_weight(model.config.lambda_at(level), power, (2 * log_out).exp())
        y, z = model.analyse(x)
        z, _ = model.code_z(z * gain_z, model.position(at), functools.partial(code, hard=True, rdo=0.0))
        psi = model.h_s(z / gain_z) + interpolate(model.psi_bias, at)
        coder = functools.partial(code, hard=True, rdo=RDO_STRENGTH)
        target = y * log_gain.exp()
        y_hat, _ = Steps(model.context, psi, log_gain - w.log(), coder, weight)(target)
    with torch.enable_grad():
        y_hat = y_hat.detach().requires_grad_()
        x_hat = model.g_s(y_hat * log_out.exp(), interpolate(model.modulation, at)) + 0.5
        (slope,) = torch.autograd.grad(seen(x_hat.clamp(0, 1), x).sum(), y_hat)
    error = (y_hat.detach() - target)[0]
    return error.double().numpy(), slope[0].double().numpy(), weight.flatten().double().numpy()


def _line(busy: Float, eye: Float, squared: Float, bins: int = 8) -> tuple[float, float]:
    """Worth by activity: the activity at which the two agree, and how fast the eye's falls beyond, in logarithms."""
    edges = np.quantile(busy, np.linspace(0, 1, bins + 1))
    at = np.clip(np.searchsorted(edges, busy, side="right") - 1, 0, bins - 1)
    middle = np.array([busy[at == k].mean() for k in range(bins)])
    quotient = np.array([eye[at == k].sum() / squared[at == k].sum() for k in range(bins)]) / (
        eye.sum() / squared.sum()
    )
    slope, offset = np.polyfit(middle, np.log(np.maximum(quotient, 1e-3)), 1)
    slope = min(float(slope), -0.05)
    return -float(offset) / slope, -slope


def scores(
    tensors: Mapping[str, NDArray[np.generic]],
    config: Mapping[str, float],
    pictures: Sequence[Pixels],
    qualities: Sequence[int],
    tune: Tune = "eye",
) -> Float:
    """SSIMULACRA2 of pictures as a model's files show them, at each of some qualities: (pictures, qualities)."""
    from caecodec.codecs.photo import PhotoCodec

    nothing: dict[str, Any] = {"training": {}, "summary": {}, "size_bytes": 0, "version": "", "path": Path()}
    info = ModelInfo(name="", id=bytes(4), family="photo", description="", config=config, **nothing)
    codec = PhotoCodec(Model(info, tensors), device="cpu")
    found = np.zeros((len(pictures), len(qualities)))
    for row, pixels in zip(found, pictures, strict=True):
        picture = from_array(pixels)
        tiles = [codec.ready(tile, RDO_STRENGTH, tune) for tile in codec.analyse(picture)]
        for at, quality in enumerate(codec.row(quality, tune) for quality in qualities):
            latents = (codec.cost_tile(tile, quality)[1] for tile in tiles)
            row[at] = score(pixels, codec.synthesise(picture.width, picture.height, False, quality, latents))
    return found


def photographs(paths: Iterable[Path], most: int) -> list[Pixels]:
    """Centres of at most 768x512 of pictures, evenly chosen; what was stored lossily is shrunk, its traces with it."""
    paths = list(paths)
    every = list(encoded_pictures(paths))
    found = []
    for encoded in every[:: max(1, -(-len(every) // most))]:
        pixels = read(encoded, 1.0 if Path(encoded.name).suffix.lower() in LOSSLESS_SUFFIXES else 0.6).numpy()
        h, w = (min(side, most_side) for side, most_side in zip(pixels.shape, (512, 768), strict=False))
        top, left = (pixels.shape[0] - h) // 2, (pixels.shape[1] - w) // 2
        if min(h, w) >= _SMALLEST:
            found.append(np.ascontiguousarray(pixels[top : top + h, left : left + w]))
    if not found:
        raise FileNotFoundError(f"no photograph of at least {_SMALLEST}x{_SMALLEST} in {', '.join(map(str, paths))}")
    return found


def levels_of_qualities(levels: Float, ssimulacra2: Float) -> Float:
    """Mean SSIMULACRA2 of photographs at rising levels -> the level of each quality 1..100.

    From 30 to 90 a quality is the score it gives. Raises ValueError where the scores do not reach that far.
    """
    rising = np.maximum.accumulate(ssimulacra2)
    low, high = _LINEAR
    if not rising[0] < low < high < rising[-1]:
        raise ValueError(f"levels reach SSIMULACRA2 {rising[0]:.1f} to {rising[-1]:.1f}, not {low} to {high}")
    quality = np.arange(1, QUALITIES + 1)
    inside = np.interp(quality, rising, levels)
    first, last = inside[low - 1], inside[high - 1]
    below = (quality - 1) / (low - 1) * first
    above = last + (quality - high) / (QUALITIES - high) * (1 - last)
    return np.where(quality < low, below, np.where(quality > high, above, inside))
