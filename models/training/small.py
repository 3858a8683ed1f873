"""Training on whole data sets of tiny pictures: autoencoders as drawn, their codecs, and `tiny`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from caecodec.models.data import datasets
from caecodec.models.data.datasets import SmallSet
from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel
from caecodec.models.networks.tiny import TinyConfig, TinyModel
from caecodec.models.training import losses
from caecodec.models.training.recipe import Recipe, SetData
from caecodec.models.training.task import VALIDATION_LEVELS, Forward, Loss, Place, autocast, levels
from caecodec.pictures.cells import TINY_CELL

NORM_BATCHES = 16  # that batch normalisation is measured on
FEWEST_STEPS = 200  # between validations, where a set is small
CODEC_PARTS = ("log_gain", "prior.", "place_share", "turn", "context", "normaliser", "power")
GRID = 16  # pictures of each set in grid.png


class SmallTask:
    """See `caecodec.models.training.task.Task`."""

    optimizer_dtype = torch.float32

    def __init__(self, recipe: Recipe, place: Place, *, decoder_only: bool = False) -> None:
        if decoder_only:
            raise ValueError("--decoder-only is for the photo model")
        assert isinstance(recipe.model, AutoencoderConfig | TinyConfig)
        assert isinstance(recipe.data, SetData)
        self._model, self._data, self._train, self._place = recipe.model, recipe.data, recipe.train, place
        self._drawn = isinstance(recipe.model, AutoencoderConfig) and recipe.model.form == "drawn"
        self._random = random.Random(place.seed)
        self._generator = torch.Generator(place.device).manual_seed(place.seed)
        self._sets: list[SmallSet] = []
        self._held_out: list[SmallSet] = []
        self._batch = max(1, recipe.train.batch // place.world)

    def new_model(self) -> nn.Module:
        if isinstance(self._model, TinyConfig):
            return TinyModel(self._model)
        return AutoencoderModel(self._model)

    def prepare(self) -> None:
        for name in self._data.sets:
            self._place.teller.doing(f"reading {name}")
            whole = _without(datasets.load(name, self._data.path_of(name), "train"), self._data.without)
            held_out = min(self._data.validation, len(whole) // 5)
            # a fixed choice whatever the seed, so that runs can be compared
            order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
            self._sets.append(self._fitting(whole.take(order[held_out:])))
            self._held_out.append(self._fitting(whole.take(order[:held_out])))
        self._draws = [self._indices(len(s)) for s in self._sets]

    def _fitting(self, small: SmallSet) -> SmallSet:
        pictures = small.pictures.to(self._place.device)
        if isinstance(self._model, TinyConfig):
            pictures = datasets.padded(pictures, TINY_CELL)
        elif tuple(pictures.shape[1:]) != (*self._model.picture[1:], self._model.picture[0]):
            c, h, w = self._model.picture
            shape = "x".join(map(str, pictures.shape[1:]))
            raise ValueError(f"{small.name} holds pictures of {shape}, the model takes {h}x{w}x{c}")
        return SmallSet(small.name, pictures, small.labels, small.classes)

    def _indices(self, size: int) -> Iterator[Tensor]:
        """Batches of indices, every picture once before any comes twice."""
        left = torch.empty(0, dtype=torch.int64, device=self._place.device)
        while True:
            while len(left) < self._batch:
                fresh = torch.randperm(size, generator=self._generator, device=self._place.device)
                left = torch.cat((left, fresh))
            yield left[: self._batch]
            left = left[self._batch :]

    def initialise(self, model: nn.Module) -> None:
        assert isinstance(model, AutoencoderModel | TinyModel)
        pictures = [s.pictures[: 20_000 // len(self._sets)] for s in self._sets]
        model.start([_unit(p) for p in pictures])

    def continued(
        self, weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]
    ) -> tuple[Mapping[str, Tensor], bool]:
        # an autoencoder as drawn has neither gains nor a prior: its codec adds them
        added = fresh.keys() - weights.keys() if isinstance(self._model, AutoencoderConfig) else set()
        if added and all(name.startswith(CODEC_PARTS) for name in added):
            return {**weights, **{name: fresh[name] for name in added}}, True
        return weights, False

    def lr_scales(self) -> dict[str, float]:
        if isinstance(self._model, TinyConfig):
            linear = self._train.linear_lr_scale
            return {"g_a.linear.weight": linear, "g_s.linear.weight": linear}
        # tables of a few numbers a channel, which start far from where they end
        tables = ("log_gain", "log_gain_out", "prior.mean", "prior.log_scale", "prior.logit")
        # and two layers that start near their optimum: a full step would first destroy them
        turns = ("turn.weight", "turn.bias", "turn_back.weight", "turn_back.bias")
        return {} if self._drawn else dict.fromkeys(tables, 5.0) | dict.fromkeys(turns, 0.05)

    def steps_per_validation(self) -> int:
        return max(self._epoch(), FEWEST_STEPS)

    def total_steps(self) -> int:
        return self._train.epochs * self._epoch() if self._train.epochs else self._train.steps

    def _epoch(self) -> int:
        pictures = sum(map(len, self._sets)) if self._sets else 1
        return -(-pictures // (self._batch * self._place.world))

    def reseed(self, seed: int) -> None:
        self._random.seed(seed)
        self._generator.manual_seed(seed % 2**31)

    def loss(self, forward: Forward, progress: float) -> Loss:
        config, data, device = self._train, self._data, self._place.device
        (number,) = self._random.choices(range(len(self._sets)), data.weights or None)
        pictures = self._sets[number].pictures[next(self._draws[number])]
        x = _unit(datasets.augment(pictures, self._generator, flip=data.flip, shift=data.shift))
        seen = x
        if data.noise_std:
            noise = torch.randn(x.shape, generator=self._generator, device=device)
            seen = (x + data.noise_std * noise.contiguous(memory_format=torch.channels_last)).clamp(0, 1)
        with autocast(device):
            if self._drawn:
                out = forward(seen)
            else:
                level = levels(len(x), device) ** config.level_power
                out = forward(seen, level)
        distortion = losses.distortion(config.loss, out["x_hat"], x)
        shown = {"psnr": losses.psnr(losses.mse_255(out["x_hat"].detach(), x)).mean()}
        if self._drawn:
            return Loss(distortion.mean() / 255**2, shown, len(x))
        bpp = out["bits"] / (x.shape[2] * x.shape[3])
        lam = self._model.lambda_at(level)
        value = losses.rate_distortion(bpp, lam * distortion, lam, config.lambda_exponent)
        return Loss(value, shown | {"bpp": bpp.mean()}, len(x))

    def status(self) -> dict[str, Any]:
        return {}

    @torch.no_grad()
    def measure_norms(self, model: nn.Module) -> None:
        """Averaged weights need statistics of their own for batch normalisation: measure them."""
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        if not norms:
            return
        before = [(norm, norm.momentum) for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
            norm.train()
        pictures = self._sets[0].pictures[: self._train.batch * NORM_BATCHES]
        for part in torch.split(pictures, self._train.batch):
            with autocast(part.device):
                model(_unit(part), *([] if self._drawn else [torch.rand(len(part), device=part.device)]))
        for norm, momentum in before:
            norm.momentum = momentum
        model.eval()

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, Any]:
        """As drawn: loss (the score), MSE of 0..1 and PSNR. As codec: bytes a picture and PSNR at five levels.

        The score of a codec is the mean of log2(R + lambda D). With noise the encoder sees it here too, and
        `noisy_psnr` is that of what it sees.
        """
        if self._drawn:
            (held_out,) = self._held_out
            x, seen = _unit(held_out.pictures), self._seen(held_out)
            x_hat = _reconstructed(model, seen)
            mse = losses.mse_255(x_hat, x)
            score = float(losses.distortion(self._train.loss, x_hat, x).mean()) / 255**2
            psnr = float(losses.psnr(mse).mean())
            noisy = {"noisy_psnr": round(_mean_psnr(seen, x), 3)} if self._data.noise_std else {}
            mean = round(float(mse.mean()) / 255**2, 6)
            return {"mse": mean, "psnr": round(psnr, 3), **noisy, "score": round(score, 6)}
        record: dict[str, Any] = {}
        scores = []
        for held_out in self._held_out:
            x, seen = _unit(held_out.pictures), self._seen(held_out)
            pixels = x.shape[2] * x.shape[3]
            bits_shown, psnr_shown = [], []
            for level in VALIDATION_LEVELS:
                x_hat, bits = _coded(model, seen, level)
                mse = losses.mse_255(x_hat, x)
                distortion = losses.distortion(self._train.loss, x_hat, x)
                scores.append(float(torch.log2(bits / pixels + self._model.lambda_at(level) * distortion).mean()))
                bits_shown.append(round(float(bits.mean()) / 8, 2))
                psnr_shown.append(round(float(losses.psnr(mse).mean()), 3))
            record[held_out.name] = {"bytes": bits_shown, "psnr": psnr_shown}
            if self._data.noise_std:
                record[held_out.name]["noisy_psnr"] = round(_mean_psnr(seen, x), 3)
        return record | {"score": round(sum(scores) / len(scores), 5)}

    @torch.no_grad()
    def close(self, model: nn.Module, folder: Path, *, draw: bool) -> None:
        """Write grid.png: originals of each set, with noise what is seen of them, and under them what comes back."""
        if not draw:
            return
        rows = []
        for held_out in self._held_out:
            shown = held_out.take(slice(GRID))
            seen = self._seen(shown)
            made = [_unit(shown.pictures)]
            if self._data.noise_std:
                made.append(seen)
            if self._drawn:
                made.append(_reconstructed(model, seen))
            else:
                made += [_coded(model, seen, level)[0] for level in VALIDATION_LEVELS[::-2]]
            rows += [strip(x) for x in made]
        Image.fromarray(np.concatenate(rows)).save(folder / "grid.png")

    def _seen(self, held_out: SmallSet) -> Tensor:
        """What an encoder is shown of held-out pictures, (B, C, H, W): where there is noise, the same every time."""
        x = _unit(held_out.pictures)
        if not self._data.noise_std:
            return x
        noise = torch.randn(x.shape, generator=torch.Generator(x.device).manual_seed(0), device=x.device)
        return (x + self._data.noise_std * noise.contiguous(memory_format=torch.channels_last)).clamp(0, 1)


def _without(small: SmallSet, name: str) -> SmallSet:
    """The set less one class; all of it for an empty name. Raises ValueError."""
    if not name:
        return small
    if name not in small.classes:
        raise ValueError(f"{small.name} has no class {name!r}; it has {', '.join(small.classes) or 'no classes'}")
    return small.take(small.labels != small.classes.index(name))


def _unit(pictures: Tensor) -> Tensor:
    """(B, H, W, C) uint8 -> (B, C, H, W) in [0, 1], channels_last."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def _mean_psnr(a: Tensor, b: Tensor) -> float:
    """Of pictures (B, C, H, W) in [0, 1], in dB."""
    return float(losses.psnr(losses.mse_255(a, b)).mean())


def _reconstructed(model: nn.Module, x: Tensor) -> Tensor:
    """Reconstructions of x, both (B, C, H, W) in [0, 1]."""
    return torch.cat([model(part)["x_hat"].float() for part in torch.split(x, 250)]).clamp(0, 1)


def _coded(model: nn.Module, x: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Reconstructions, and bits (B,), coded as the codec does."""
    made, bits = [], []
    for part in torch.split(x, 250):
        with autocast(part.device):
            out = model(part, torch.full((len(part),), level, device=part.device), hard=True)
        made.append(out["x_hat"].float())
        bits.append(out["bits"])
    return torch.cat(made).clamp(0, 1), torch.cat(bits)


def strip(x: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(B, C, H, W) in [0, 1] -> GRID pictures of at most 32 pixels side by side, (34, 34 * GRID, 3)."""
    strip = np.full((34, 34 * GRID, 3), 255, np.uint8)
    for i, picture in enumerate(x[:GRID]):
        pixels = (picture.permute(1, 2, 0).float().cpu().numpy() * 255 + 0.5).astype(np.uint8)
        strip[1 : 1 + pixels.shape[0], 34 * i + 1 : 34 * i + 1 + pixels.shape[1]] = pixels
    return strip
