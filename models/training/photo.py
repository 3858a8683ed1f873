"""Training of the photo model: crops of photographs, R + lambda D at every quality at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.models.data import pictures
from caecodec.models.data.analysed import Analysed
from caecodec.models.data.loader import Loader
from caecodec.models.data.pictures import VALIDATION_CROP
from caecodec.models.networks.eye import EyeDistance, eye_lambda
from caecodec.models.networks.photo import PATCH, PhotoConfig, PhotoModel
from caecodec.models.training import losses
from caecodec.models.training.grow import grown, with_tunes
from caecodec.models.training.recipe import PictureData, Recipe
from caecodec.models.training.task import VALIDATION_LEVELS, Forward, Loss, Place, autocast, levels, product_dtype

# training begins after so long, if so many are in memory: a run that is killed early should have something to resume
START_SECONDS, START_FEWEST = 10.0, 32


class PhotoTask:
    """See `caecodec.models.training.task.Task`.

    `decoder_only`: the encoder stays as it is, symbols are those of the codec.
    """

    def __init__(self, recipe: Recipe, place: Place, *, decoder_only: bool = False) -> None:
        assert isinstance(recipe.model, PhotoConfig)
        assert isinstance(recipe.data, PictureData)
        self._model, self._data, self._train, self._place = recipe.model, recipe.data, recipe.train, place
        self.optimizer_dtype = product_dtype(place.device)  # as autocast, under which it trains
        config = recipe.data
        self.pool = pictures.Pool(
            place.device, place.seed, config.lossless_weight, config.copies, config.max_megapixels
        )
        self._decoder_only = decoder_only
        self._mode: dict[str, Any] = {"hard": True, "rdo": RDO_STRENGTH} if decoder_only else {}
        self._analysed: Analysed | None = None  # where the encoder stays as it is
        self._crop = recipe.train.crop
        self._turn = place.rank  # of the tunes
        self._eyes: dict[tuple[int, bool], Callable[[Tensor, Tensor], Tensor]] = {}  # by the side of a crop; compiled?

    def new_model(self) -> PhotoModel:
        model = PhotoModel(self._model)
        if self._train.tables_only:
            model.freeze_networks()
        if self._decoder_only:
            model.freeze_encoder()
            if self._analysed is None:  # of the model that is trained; another one is made for its average
                self._analysed = Analysed(self._drawn, lambda x: self._latents(model, x))
        return model

    def prepare(self) -> None:
        config, place = self._data, self._place
        place.teller.doing("reading pictures")
        min_side = max(self._train.crop, self._train.final_crop)
        held_out = frozenset(config.held_out)
        paths = [Path(p) for p in config.train]
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(f"{path}: no such folder, tar shard or picture; --data names others")
        share, warn = (place.rank, place.world), place.teller.warn
        self._loader = Loader(self.pool, paths, min_side, share, warn, lambda name: name not in held_out)
        self._loader.start()
        begun = time.monotonic()
        while len(self.pool) < config.start_pictures and not self._loader.first_pass_done.is_set():
            if len(self.pool) >= START_FEWEST and time.monotonic() - begun > START_SECONDS:
                break
            time.sleep(0.05)
            place.teller.at(0.0, f"{len(self.pool)} so far")
        self._raise_failure()
        if not len(self.pool):
            less = f" (less {len(held_out)} held out)" if held_out else ""
            where = ", ".join(config.train)
            raise ValueError(f"no training picture of at least {min_side}x{min_side} in {where}{less}")
        place.teller.doing("reading validation pictures")
        if config.validation:
            named = [Path(p) for p in config.validation]
            self._validation = pictures.validation_crops(named, VALIDATION_CROP, place.device)
        else:
            self._validation = pictures.validation_crops(
                paths, VALIDATION_CROP, place.device, held_out.__contains__, warn
            )

    def initialise(self, model: nn.Module) -> None:
        assert isinstance(model, PhotoModel)
        basis, deviation = (t.to(self._place.device) for t in pictures.klt(self.pool, PATCH, self._model.n))
        if self._place.world > 1:
            dist.broadcast(basis, 0)
            dist.broadcast(deviation, 0)
        model.start_as_klt(basis, deviation)

    def continued(
        self, weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]
    ) -> tuple[Mapping[str, Tensor], bool]:
        return grown(with_tunes(weights, self._model), fresh), False

    def lr_scales(self) -> dict[str, float]:
        # the linear branches start at the KLT, near their optimum: a full step would first destroy them
        scales = {"g_a.linear.weight": self._train.linear_lr_scale, "g_s.linear.weight": self._train.linear_lr_scale}
        scales |= {"log_gain_z": 5.0}
        if self._decoder_only:  # at a rate for networks, tables of few numbers would hardly move
            scales |= {"log_gain_out": 5.0, "modulation": 5.0, "psi_bias": 5.0}
        # what an eye asks of the steps is far from what MSE asked
        return scales | {"log_gain": self._train.gain_lr_scale}

    def steps_per_validation(self) -> int:
        return 0

    def total_steps(self) -> int:
        return self._train.steps

    def reseed(self, seed: int) -> None:
        self.pool.reseed(seed)

    def loss(self, forward: Forward, progress: float) -> Loss:
        self._raise_failure()
        config, device = self._train, self._place.device
        if progress >= 1 - config.final_fraction:
            self._crop = config.final_crop
        # as many pixels per step whatever the crop
        batch = max(1, round(config.batch * config.crop**2 / self._crop**2 / self._place.world))
        mode = self._mode
        if self._analysed is None:
            x = self._drawn(batch)
        else:
            x, latents = self._analysed.batch(batch)
            mode = mode | {"latents": latents}
        level = levels(batch, device)
        if self._model.tunes > 1:  # in turns: each sees all levels, and also where a batch is a single crop
            tune = (torch.arange(batch, device=device) + self._turn) % self._model.tunes
            self._turn += 1
            mode = mode | {"tune": tune}
        with autocast(device):
            out = forward(x, level, **mode)
        mse = losses.mse_255(out["x_hat"], x)
        bpp = out["bits_y"] + out["bits_z"]
        lam = self._model.lambda_at(level)
        error, shown = lam * mse, {"bpp": bpp.mean(), "psnr": losses.psnr(mse).mean()}
        if config.eye_share:
            seen = self._eye(self._crop, compiled=self._place.compiled)(out["x_hat"], x)
            share = config.eye_share if self._model.tunes == 1 else config.eye_share * (tune == 0)
            error = (1 - share) * error + share * eye_lambda(lam) * seen
            shown["ssimulacra2"] = 100 - seen.mean()
        return Loss(losses.rate_distortion(bpp, error, lam, config.lambda_exponent), shown, batch)

    def _drawn(self, count: int) -> Tensor:
        return self.pool.batch(count, self._crop)

    def _latents(self, model: PhotoModel, x: Tensor) -> tuple[Tensor, Tensor]:
        with autocast(self._place.device):
            y, z = model.analyse(x)
        return y, z

    def _eye(self, side: int, *, compiled: bool = False) -> Callable[[Tensor, Tensor], Tensor]:
        if (side, compiled) not in self._eyes:
            eye = EyeDistance(side).to(self._place.device)
            self._eyes[side, compiled] = torch.compile(eye, dynamic=False) if compiled else eye
        return self._eyes[side, compiled]

    def measure_norms(self, model: nn.Module) -> None:
        """Nothing to do: there is no batch normalisation."""

    def status(self) -> dict[str, Any]:
        return {"crop": self._crop, "pictures": len(self.pool)}

    def validate(self, model: nn.Module) -> dict[str, Any]:
        """Rate, PSNR and SSIMULACRA2 at five levels, coded as the codec does.

        `score`: mean log2(R + lambda D), D in MSE; `eye_score`: the same, D as people see it. Of a model with two tunes
        what the second has is under "psnr_tuned", and `score` is its own.
        """
        assert isinstance(model, PhotoModel)
        record = self._validated(model.tuned("eye"))
        if self._model.tunes > 1:
            record["psnr_tuned"] = self._validated(model.tuned("psnr"))
            record["score"] = record["psnr_tuned"]["score"]
        return record

    @torch.no_grad()
    def _validated(self, model: PhotoModel) -> dict[str, Any]:
        record: dict[str, Any] = {"bpp": [], "psnr": [], "ssimulacra2": []}
        score = eye_score = 0.0
        for level in VALIDATION_LEVELS:
            rates, errors, seen = [], [], []
            for chunk in torch.split(self._validation, 8):
                x = chunk.float().div(255).contiguous(memory_format=torch.channels_last)
                with autocast(self._place.device):
                    out = model(x, torch.full((len(x),), level, device=x.device), hard=True, rdo=RDO_STRENGTH)
                rates.append(out["bits_y"] + out["bits_z"])
                x_hat = out["x_hat"].clamp(0, 1)
                errors.append(losses.mse_255(x_hat, x))
                seen.append(self._eye(VALIDATION_CROP)(x_hat, x))
            rate, mse, distance = torch.cat(rates), torch.cat(errors), torch.cat(seen)
            lam = self._model.lambda_at(level)
            score += float(torch.log2(rate + lam * mse).mean())
            eye_score += float(torch.log2(rate + eye_lambda(torch.tensor(lam)) * distance).mean())
            record["bpp"].append(round(float(rate.mean()), 4))
            record["psnr"].append(round(float(losses.psnr(mse).mean()), 3))
            record["ssimulacra2"].append(round(100 - float(distance.mean()), 2))
        scores = {"score": score, "eye_score": eye_score}
        return record | {name: round(value / len(VALIDATION_LEVELS), 5) for name, value in scores.items()}

    def close(self, model: nn.Module, folder: Path, *, draw: bool) -> None:
        self._loader.stop()

    def _raise_failure(self) -> None:
        if self._loader.failure is not None:
            raise self._loader.failure
