"""The training loop: one for every model, on a CPU, a GPU, or several through torchrun.

A run folder holds `recipe.toml`, `metrics.jsonl`, `checkpoint.pt` (weights, EMA, optimiser, progress; replaced
atomically) and, at the end, `curve.png`. Schedules run on progress in 0..1, the share of the minutes or steps asked
for, so that a run of any length ends with its learning rate at zero.
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from caecodec.errors import UsageError
from caecodec.integer import RDO_STRENGTH
from caecodec.models import data, layers, losses
from caecodec.models.curve import draw_curve
from caecodec.models.loader import Loader
from caecodec.models.photo import PATCH, PhotoModel
from caecodec.models.recipe import Recipe, TrainConfig
from caecodec.models.recipe import load as load_recipe
from caecodec.models.soap import SOAP

VALIDATION_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def learning_rate_factor(progress: float, step: int, config: TrainConfig) -> float:
    """Linear warm-up over `warmup_steps`, constant until `decay_from`, then linear to zero."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    return warm * min(1.0, max(0.0, (1 - progress) / (1 - config.decay_from)))


class Trainer:
    """One run of one recipe in one folder."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        minutes: float | None,
        device: str,
        compile_model: bool,
        seed: int | None,
        decoder_only: bool = False,
    ) -> None:
        self.recipe, self.folder, self.minutes = recipe, folder, minutes
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device == "cuda" else "gloo")
        local = int(os.environ.get("LOCAL_RANK", 0))
        self.device = torch.device(device, local) if device == "cuda" else torch.device(device)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        base_seed = (recipe.train.seed if seed is None else seed) * 1000
        torch.manual_seed(base_seed)  # the same weights on every rank
        self.model = layers.channels_last(PhotoModel(recipe.model).to(self.device))
        self.ema = layers.channels_last(PhotoModel(recipe.model).to(self.device)).eval()
        self.optimizer = _optimizer(self.model, recipe.train)
        self.step, self.elapsed = 0, 0.0
        self.patches = 0
        self.history: list[dict[str, Any]] = []  # earlier runs these weights come from
        self.last_validation: dict[str, Any] = {}
        config = recipe.data
        self.pool = data.Pool(
            self.device, base_seed + self.rank, config.lossless_weight, config.copies, config.max_megapixels
        )
        self._compile, self._decoder_only = compile_model, decoder_only
        self._mode: dict[str, Any] = {}
        if decoder_only:
            self.model.freeze_encoder()
            self._mode = {"hard": True, "rdo": RDO_STRENGTH}
        self._window_start = 0.0, 0  # seconds, patches
        self._clock = 0.0  # when this run would have started, had it never stopped
        self._rng_seed = base_seed + self.rank + 1
        self._console = Console(stderr=True)

    # -- progress ------------------------------------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        if self.minutes is not None:
            return min(1.0, self.elapsed / (60 * self.minutes))
        return min(1.0, self.step / self.recipe.train.steps)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Path:
        """Where this run keeps its state."""
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write the whole state atomically; a kill at any time leaves the old or the new one."""
        if self.rank:
            return
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "patches": self.patches,
            "elapsed": self.elapsed,
            "minutes": self.minutes,
            "config": self.recipe.model.to_dict(),
            "recipe": self.recipe.text,
            "decoder_only": self._decoder_only,
            "history": [*self.history, self._this_run()],
            "validation": self.last_validation,
        }
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)
        # weights alone, small: what export reads and what a remote machine sends home
        small = {k: v.half() if v.ndim == 4 else v for k, v in self.ema.state_dict().items()}
        torch.save({"ema": small} | {k: state[k] for k in WEIGHT_KEYS}, temporary)
        os.replace(temporary, self.folder / "weights.pt")

    def _this_run(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.name,
            "decoder_only": self._decoder_only,
            "steps": self.step,
            "hours": round(self.elapsed / 3600, 3),
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "processes": self.world,
        }

    def resume(self) -> None:
        """Continue this folder's own run where its checkpoint stopped. Raises ValueError where it does not fit."""
        state = _load_state(self.checkpoint, self.device)
        if state.get("decoder_only", False) != self._decoder_only:
            which = "with" if state["decoder_only"] else "without"
            raise ValueError(f"{self.checkpoint} is of a run {which} --decoder-only; resume it so")
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed, self.patches = state["step"], state["elapsed"], state["patches"]
        self.history = state.get("history", [])[:-1]
        self.pool.reseed(self._rng_seed + 1000 * self.step)
        if self.minutes is None:
            self.minutes = state["minutes"]

    def start_from(self, checkpoint: Path) -> None:
        """Begin a new schedule from the weights of another run."""
        state = _load_state(checkpoint, self.device)
        try:
            self.model.load_state_dict(state["ema"])
        except RuntimeError as exc:
            raise ValueError(f"{checkpoint} is of a model of another shape than this recipe's") from exc
        self.ema.load_state_dict(state["ema"])
        self.patches = state["patches"]
        self.history = state["history"]

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Train to the end of the schedule and return the last validation record."""
        recipe, config = self.recipe, self.recipe.train
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "recipe.toml").write_text(recipe.text, encoding="utf-8")
        loader = self._load_data()
        validation = data.validation_crops([Path(p) for p in recipe.data.validation], 256, self.device)
        if self.step == 0 and self.patches == 0:
            basis, deviation = data.klt(self.pool, PATCH, recipe.model.n)
            if self.world > 1:
                basis, deviation = _broadcast(basis, self.device), _broadcast(deviation, self.device)
            self.model.start_as_klt(basis.to(self.device), deviation.to(self.device))
            self.ema.load_state_dict(self.model.state_dict())
        torch.manual_seed(self._rng_seed + 1000 * self.step)
        forward: Callable[..., dict[str, Tensor]] = self.model
        if self._compile:
            forward = torch.compile(self.model, dynamic=False)
        if self.world > 1:
            forward = nn.parallel.DistributedDataParallel(forward)
        crop = config.crop
        last_saved = time.monotonic()
        self._window_start = last_saved, self.patches
        self._clock = last_saved - self.elapsed
        window: list[tuple[float, float, float]] = []
        with self._bar() as bar:
            task = bar.add_task(recipe.name, total=1.0, status="starting")
            while self.progress < 1:
                if loader.failure is not None:
                    raise loader.failure
                if self.progress >= 1 - config.final_fraction:
                    crop = config.final_crop
                window.append(self._train_step(forward, crop))
                self._tick()
                if self.step % 100 == 0:
                    record = self._summary(window, crop)
                    window.clear()
                    self._log(record)
                    bar.update(task, completed=self.progress, status=_status(record))
                # on one rank: the others would only compute the same and throw it away
                if self.rank == 0 and time.monotonic() - last_saved > 60 * config.checkpoint_minutes:
                    self._log(self.validate(validation))
                    self.save()
                    last_saved = time.monotonic()
            bar.update(task, completed=1.0)
        loader.stop()
        record = self.validate(validation)
        self._log(record)
        self.save()
        if self.rank == 0:
            draw_curve(self.folder)
        return record

    def _tick(self) -> None:
        """Move `elapsed` on, on which the schedule runs.

        Several ranks share one clock: they must leave the loop after the same step, and equal gradients keep equal
        weights only under equal learning rates.
        """
        if self.world > 1 and self.step % 10:
            return
        elapsed = time.monotonic() - self._clock
        if self.world > 1:
            shared = torch.tensor(elapsed, dtype=torch.float64, device=self.device)
            dist.broadcast(shared, 0)
            elapsed = float(shared.item())
        self.elapsed = elapsed

    def _train_step(self, forward: Callable[..., dict[str, Tensor]], crop: int) -> tuple[float, float, float]:
        config = self.recipe.train
        # as many pixels per step whatever the crop
        batch = max(1, round(config.batch * config.crop**2 / crop**2 / self.world))
        x = self.pool.batch(batch, crop)
        # stratified levels: every step sees low and high rates
        level = (torch.arange(batch, device=self.device) + torch.rand(batch, device=self.device)) / batch
        lam = _lambda(self.recipe, level)
        with self._autocast():
            out = forward(x, level, **self._mode)
        mse = losses.mse_255(out["x_hat"], x)
        bpp = out["bits_y"] + out["bits_z"]
        loss = losses.rate_distortion(bpp, mse, lam, config.lambda_exponent)
        factor = learning_rate_factor(self.progress, self.step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * factor * group["lr_scale"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        for parameter in self.model.parameters():
            if parameter.grad is not None:  # one bad batch must not end a run of hours; no `if` on values, which waits
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)
        self.optimizer.step()
        self._update_ema()
        self.step += 1
        self.patches += batch * self.world
        if self.step % 10:
            return (float("nan"),) * 3  # reading a number back would stall a GPU
        return loss.item(), bpp.mean().item(), losses.psnr(mse).mean().item()

    @torch.no_grad()
    def _update_ema(self) -> None:
        keep = min(self.recipe.train.ema, (1 + self.step) / (10 + self.step))
        averaged: list[Tensor] = list(self.ema.parameters())
        torch._foreach_lerp_(averaged, list(self.model.parameters()), 1 - keep)

    @torch.no_grad()
    def validate(self, crops: Tensor) -> dict[str, Any]:
        """Rate and PSNR at five levels, averaged weights, coded as the codec does. `score`: mean log2(R + lambda D)."""
        record: dict[str, Any] = {"kind": "validation", "bpp": [], "psnr": []}
        score = 0.0
        for level in VALIDATION_LEVELS:
            rates, errors = [], []
            for chunk in range(0, len(crops), 8):
                x = crops[chunk : chunk + 8].float().div(255).contiguous(memory_format=torch.channels_last)
                with self._autocast():
                    levels = torch.full((len(x),), level, device=self.device)
                    out = self.ema(x, levels, hard=True, rdo=RDO_STRENGTH)
                rates.append(out["bits_y"] + out["bits_z"])
                errors.append(losses.mse_255(out["x_hat"].clamp(0, 1), x))
            rate, mse = torch.cat(rates), torch.cat(errors)
            score += float(torch.log2(rate + self.recipe.model.lambda_at(level) * mse).mean())
            record["bpp"].append(round(float(rate.mean()), 4))
            record["psnr"].append(round(float(losses.psnr(mse).mean()), 3))
        self.last_validation = record | {"score": round(score / len(VALIDATION_LEVELS), 5)}
        return self.last_validation

    # -- parts ---------------------------------------------------------------------------------------------------

    def _load_data(self) -> Loader:
        config = self.recipe.data
        min_side = max(self.recipe.train.crop, self.recipe.train.final_crop)
        paths = [Path(p) for p in config.train]
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(f"{path}: no such folder, tar shard or picture; --data names others")
        loader = Loader(self.pool, paths, min_side, (self.rank, self.world), self._warn)
        loader.start()
        while len(self.pool) < config.start_pictures and not loader.first_pass_done.is_set():
            time.sleep(0.05)
        if loader.failure is not None:
            raise loader.failure
        if not len(self.pool):
            raise ValueError(f"no training picture of at least {min_side}x{min_side} in {', '.join(config.train)}")
        return loader

    def _warn(self, message: str) -> None:
        self._console.print(f"caecodec: warning: {message}", soft_wrap=True, highlight=False)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16)

    def _bar(self) -> Progress:
        quiet = self.rank != 0 or not self._console.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        times = (TextColumn("{task.fields[status]}"), TimeElapsedColumn(), TimeRemainingColumn())
        return Progress(*columns, *times, console=self._console, disable=quiet)

    def _summary(self, window: list[tuple[float, float, float]], crop: int) -> dict[str, Any]:
        read = [row for row in window if row[0] == row[0]]
        means = [sum(column) / len(read) for column in zip(*read, strict=True)]
        names = ("loss", "bpp", "psnr")
        # wall-clock of the window, not of the run: shows at once what starves the machine
        now = time.monotonic()
        since, patches = self._window_start
        self._window_start = now, self.patches
        rate = (self.patches - patches) / (now - since)
        return (
            {"kind": "train", "crop": crop}
            | {k: round(v, 4) for k, v in zip(names, means, strict=True)}
            | {
                "patches_per_s": round(rate, 1),
                "lr": self.recipe.train.lr * learning_rate_factor(self.progress, self.step, self.recipe.train),
                "pictures": len(self.pool),
            }
        )

    def _log(self, record: dict[str, Any]) -> None:
        if self.rank:
            return
        where = {"step": self.step, "minutes": round(self.elapsed / 60, 2), "patches": self.patches}
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(where | record) + "\n")
        if not self._console.is_terminal and (record["kind"] == "validation" or self.step % 500 == 0):
            self._console.print(json.dumps(where | record), soft_wrap=True, highlight=False)


WEIGHT_KEYS = ("step", "patches", "elapsed", "config", "recipe", "history", "validation")


def _load_state(path: Path, device: torch.device) -> dict[str, Any]:
    """A checkpoint of ours; raises ValueError, or FileNotFoundError."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return state | {key: state[key] for key in ("ema", "step", "elapsed", "patches", "history")}
    except FileNotFoundError:
        raise
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as exc:
        raise ValueError(f"{path}: not a whole checkpoint of caecodec") from exc


def _lambda(recipe: Recipe, level: Tensor) -> Tensor:
    low, high = recipe.model.lambda_min, recipe.model.lambda_max
    return low * (high / low) ** level


def _status(record: dict[str, Any]) -> str:
    return "loss {loss:.3f}  {bpp:.3f} bpp  {psnr:.2f} dB  {patches_per_s:.0f} patches/s".format(**record)


def _broadcast(value: Tensor, device: torch.device) -> Tensor:
    value = value.to(device)
    dist.broadcast(value, 0)
    return value


def _optimizer(model: PhotoModel, config: TrainConfig) -> torch.optim.Optimizer:
    # the linear branches start at the KLT, near their optimum: a full step would first destroy them. The prior of z
    # starts far from its own and is measured in steps of scale; at the common rate it was still on its way after 5000
    scales = {"g_a.linear.weight": config.linear_lr_scale, "g_s.linear.weight": config.linear_lr_scale}
    scales |= {"z_index": 20.0, "log_gain_z": 5.0, "z_mean": 3.0}
    groups: list[dict[str, Any]] = [{"params": [], "lr_scale": s} for s in sorted({1.0, *scales.values()})]
    by_scale = {group["lr_scale"]: group["params"] for group in groups}
    for name, parameter in model.named_parameters():
        by_scale[scales.get(name, 1.0)].append(parameter)
    if config.optimizer == "soap":
        return SOAP(groups, lr=config.lr, every=config.precondition_every)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=config.lr, betas=(0.9, 0.99))
    raise ValueError(f"unknown optimizer {config.optimizer!r}; known are 'soap' and 'adam'")


def run_recipe(
    name: str,
    folder: Path | None,
    train_data: Sequence[str] = (),
    validation: Sequence[str] = (),
    *,
    minutes: float | None = None,
    resume: bool = False,
    start: Path | None = None,
    decoder_only: bool = False,
    device: str | None = None,
    compile_model: bool | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """What `caecodec train` does. Raises UsageError for a recipe, folder or data that will not do."""
    try:
        recipe = load_recipe(name)
        if train_data:
            recipe = replace(recipe, data=replace(recipe.data, train=tuple(train_data)))
        if validation:
            recipe = replace(recipe, data=replace(recipe.data, validation=tuple(validation)))
        if decoder_only:
            recipe = replace(recipe, train=recipe.train.finishing())
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        folder = folder or Path("runs") / recipe.name
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("no CUDA device is available to this torch; use --device cpu")
        if resume and start is not None:
            raise UsageError("--resume continues a run and --from starts one: give one of them")
        if decoder_only and start is None and not resume:
            raise UsageError("--decoder-only keeps the encoder of a trained model: name its checkpoint with --from")
        if (folder / "checkpoint.pt").exists() != resume:
            hint = "holds a run: --resume continues it" if not resume else "holds no run to resume"
            raise UsageError(f"{folder} {hint}")
        compiled = device == "cuda" if compile_model is None else compile_model
        trainer = Trainer(
            recipe,
            folder,
            minutes=minutes,
            device=device,
            compile_model=compiled,
            seed=seed,
            decoder_only=decoder_only,
        )
        if resume:
            trainer.resume()
        elif start is not None:
            trainer.start_from(start)
        return trainer.run()
    except (FileNotFoundError, ValueError) as exc:
        raise UsageError(str(exc)) from exc
