"""The training loop: one for every model, on a CPU, a GPU, or several through torchrun.

A run folder holds `recipe.toml`, `metrics.jsonl`, `checkpoint.pt` (weights, EMA, optimiser, progress; replaced
atomically), `weights.pt` and, at the end, `curve.png`. Schedules run on progress in 0..1, the share of the minutes or
steps asked for, so that a run of any length ends with its learning rate at zero.
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from caecodec.errors import UsageError
from caecodec.models.networks import layers
from caecodec.models.networks.autoencoder import AutoencoderConfig
from caecodec.models.networks.photo import PhotoConfig
from caecodec.models.training.curve import draw_curve
from caecodec.models.training.grow import grown
from caecodec.models.training.photo import PhotoTask
from caecodec.models.training.recipe import PictureData, Recipe, SetData, TrainConfig
from caecodec.models.training.recipe import load as load_recipe
from caecodec.models.training.small import SmallTask
from caecodec.models.training.soap import SOAP
from caecodec.models.training.task import Forward, Place, Task

WEIGHT_KEYS = ("step", "patches", "elapsed", "config", "recipe", "history", "validation", "without")


SCHEDULES = ("whole", "constant", "decay")


def learning_rate_factor(progress: float, step: int, config: TrainConfig, schedule: str = "whole") -> float:
    """Linear warm-up over `warmup_steps`, constant until `decay_from`, then linear to zero.

    schedule: "whole" is that; "constant" leaves the end out, and "decay" is the end alone.
    """
    warm = 1.0 if schedule == "decay" else min(1.0, (step + 1) / max(1, config.warmup_steps))
    if schedule == "constant":
        return warm
    start = 0.0 if schedule == "decay" else config.decay_from
    return warm * min(1.0, max(0.0, (1 - progress) / (1 - start)))


def task_of(recipe: Recipe, place: Place, *, decoder_only: bool = False) -> Task:
    """The task of a recipe's family. Raises ValueError where the family cannot be trained so."""
    if isinstance(recipe.model, PhotoConfig):
        return PhotoTask(recipe, place, decoder_only=decoder_only)
    if decoder_only:
        raise ValueError("--decoder-only is for the photo model")
    return SmallTask(recipe, place)


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
        schedule: str = "whole",
    ) -> None:
        self.recipe, self.folder, self.minutes, self.schedule = recipe, folder, minutes, schedule
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
        self._console = Console(stderr=True)
        place = Place(self.device, self.rank, self.world, base_seed + self.rank, self._warn)
        self.task = task_of(recipe, place, decoder_only=decoder_only)
        self.model = layers.channels_last(self.task.new_model().to(self.device))
        self.ema = layers.channels_last(self.task.new_model().to(self.device)).eval()
        half = isinstance(recipe.model, PhotoConfig)  # trained under autocast
        turn_in = torch.bfloat16 if half else torch.float32
        self.optimizer = _optimizer(self.model, recipe.train, self.task.lr_scales(), turn_in)
        self.step, self.elapsed = 0, 0.0
        self.patches = 0
        self.history: list[dict[str, Any]] = []  # earlier runs these weights come from
        self.last_validation: dict[str, Any] = {}
        self._compile, self._decoder_only = compile_model, decoder_only
        self._added = False  # weights were added to those of the checkpoint it started from
        self._best: dict[str, Any] | None = None  # with patience: the best weights so far and their record
        self._waited = 0  # validations since
        self._ended = False  # by patience
        self._window_start = 0.0, 0  # seconds, patches
        self._clock = 0.0  # when this run would have started, had it never stopped
        self._rng_seed = base_seed + self.rank + 1

    # -- progress ------------------------------------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        if self.minutes is None and self.schedule == "constant":
            return 0.0  # until it is stopped
        if self.minutes is not None:
            return min(1.0, self.elapsed / (60 * self.minutes))
        return min(1.0, self.step / self.task.total_steps())

    # -- checkpoints ---------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Path:
        """Where this run keeps its state."""
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write the whole state atomically; a kill at any time leaves the old or the new one."""
        if self.rank:
            return
        self.task.settle(self.ema)  # what is exported from a run that is still going must be sound too
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "patches": self.patches,
            "elapsed": self.elapsed,
            "minutes": self.minutes,
            "schedule": self.schedule,
            "config": self.recipe.model.to_dict(),
            "recipe": self.recipe.text,
            "decoder_only": self._decoder_only,
            "history": [*self.history, self._this_run()],
            "validation": self.last_validation,
            "best": self._best,
            "without": getattr(self.recipe.data, "without", ""),
            "waited": self._waited,
        }
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)
        # weights alone, small: what export reads and what a remote machine sends home
        small = {k: v.half() if _is_large(k, v) else v for k, v in self.ema.state_dict().items()}
        torch.save({"ema": small} | {k: state[k] for k in WEIGHT_KEYS}, temporary)
        os.replace(temporary, self.folder / "weights.pt")

    def _this_run(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.name,
            "decoder_only": self._decoder_only,
            "schedule": self.schedule,
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
        if state["config"] != self.recipe.model.to_dict():
            raise ValueError(f"{self.checkpoint} is of another recipe, or of one with or without --drawn; resume it so")
        self._check_class(self.checkpoint, state)
        self._take_whole(self.checkpoint, state)
        self.step, self.elapsed, self.patches = state["step"], state["elapsed"], state["patches"]
        self.history = state.get("history", [])[:-1]
        self._best, self._waited = state.get("best"), state.get("waited", 0)
        self.task.reseed(self._rng_seed + 1000 * self.step)
        if self.minutes is None:
            self.minutes = state["minutes"]
        self.schedule = state.get("schedule", "whole")

    def _take_whole(self, checkpoint: Path, state: dict[str, Any]) -> None:
        """Weights, their averages and the optimiser's state. Raises ValueError where they do not fit."""
        try:
            self.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as exc:
            raise ValueError(f"{checkpoint} does not fit this recipe ({exc})") from exc

    def branch_from(self, checkpoint: Path) -> None:
        """Begin another schedule where another run of the same recipe stands, its optimiser's state and all."""
        state = _load_state(checkpoint, self.device)
        self._check_class(checkpoint, state)
        if "optimizer" not in state or state["config"] != self.recipe.model.to_dict():
            raise ValueError(f"{checkpoint} is not the checkpoint.pt of a run of this recipe")
        self._take_whole(checkpoint, state)
        self.patches, self.history = state["patches"], state["history"]
        self.task.reseed(self._rng_seed + self.patches)

    def _check_class(self, checkpoint: Path, state: dict[str, Any]) -> None:
        """Raise ValueError where weights saw a class that this run leaves out."""
        without = getattr(self.recipe.data, "without", "")
        if without and state.get("without", "") != without:
            raise ValueError(f"{checkpoint} was trained on {without!r} as well: it cannot be left out any more")

    def start_from(self, checkpoint: Path) -> None:
        """Begin a new schedule from the weights of another run."""
        state = _load_state(checkpoint, self.device)
        self._check_class(checkpoint, state)
        weights = {k: v.float() if v.is_floating_point() else v for k, v in state["ema"].items()}
        fresh = self.model.state_dict()
        # an autoencoder as drawn has neither gains nor a prior: its codec adds them
        added: set[str] = set()
        if isinstance(self.recipe.model, AutoencoderConfig):
            added = fresh.keys() - weights.keys()
        if added and all(name.startswith(("log_gain", "prior.", "place_share", "turn")) for name in added):
            weights |= {name: fresh[name] for name in added}
        try:
            if isinstance(self.recipe.model, PhotoConfig):
                weights = grown(weights, fresh)
            self.model.load_state_dict(weights)
        except (RuntimeError, ValueError) as exc:
            raise ValueError(f"{checkpoint} is of a model of another shape than this recipe's ({exc})") from exc
        self._added = bool(added)
        self.ema.load_state_dict(self.model.state_dict())
        self.patches = state["patches"]
        self.history = state["history"]

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Train to the end of the schedule and return the last validation record."""
        recipe, config = self.recipe, self.recipe.train
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "recipe.toml").write_text(recipe.text, encoding="utf-8")
        self.task.prepare()
        if (self.step == 0 and self.patches == 0) or self._added:
            self.task.initialise(self.model)
            self.ema.load_state_dict(self.model.state_dict())
        torch.manual_seed(self._rng_seed + 1000 * self.step)
        forward: Forward = self.model
        if self._compile:
            forward = torch.compile(self.model, dynamic=False)
        if self.world > 1:
            forward = nn.parallel.DistributedDataParallel(forward)
        last_saved = time.monotonic()
        self._window_start = last_saved, self.patches
        self._clock = last_saved - self.elapsed
        window: list[dict[str, float]] = []
        with self._bar() as bar:
            shown = bar.add_task(recipe.name, total=1.0, status="starting")
            while self.progress < 1 and not self._ended:
                if (values := self._train_step(forward)) is not None:
                    window.append(values)
                self._tick()
                if self.step % 100 == 0:
                    record = self._summary(window)
                    window.clear()
                    self._log(record)
                    bar.update(shown, completed=self.progress, status=_status(record))
                # on one rank: the others would only compute the same and throw it away
                if self.rank == 0 and self._validation_due(last_saved):
                    self._log(self.validate())
                if self.rank == 0 and time.monotonic() - last_saved > 60 * config.checkpoint_minutes:
                    self.save()
                    last_saved = time.monotonic()
            bar.update(shown, completed=1.0)
        record = self.validate()
        self._log(record)
        if self._best is not None:  # patience: the best of all, not the last
            self.ema.load_state_dict(self._best["ema"])
            record = self.last_validation = self._best["validation"]
        self.save()
        self.task.close(self.ema, self.folder, draw=self.rank == 0)
        if self.rank == 0:
            draw_curve(self.folder)
        return record

    def _validation_due(self, last_saved: float) -> bool:
        every = self.task.steps_per_validation()
        if every:
            return self.step % every == 0
        return time.monotonic() - last_saved > 60 * self.recipe.train.checkpoint_minutes

    def validate(self) -> dict[str, Any]:
        """How good the averaged weights are; with patience, whether to go on."""
        self.task.settle(self.ema)
        self.last_validation = {"kind": "validation"} | self.task.validate(self.ema)
        if self.recipe.train.patience:
            if self._best is None or self.last_validation["score"] < self._best["validation"]["score"]:
                weights = {k: v.detach().clone() for k, v in self.ema.state_dict().items()}
                self._best, self._waited = {"ema": weights, "validation": self.last_validation}, 0
            else:
                self._waited += 1
            if self.world == 1:
                self._ended = self._waited >= self.recipe.train.patience
        return self.last_validation

    def _tick(self) -> None:
        """Move `elapsed` on, on which the schedule runs.

        Several ranks share one clock: they must leave the loop after the same step, and equal gradients keep equal
        weights only under equal learning rates.
        """
        if self.world > 1 and self.step % 10:
            return
        elapsed = time.monotonic() - self._clock
        if self.world > 1:
            ended = self._waited >= self.recipe.train.patience > 0
            shared = torch.tensor((elapsed, float(ended)), dtype=torch.float64, device=self.device)
            dist.broadcast(shared, 0)
            elapsed, self._ended = float(shared[0].item()), bool(shared[1].item())
        self.elapsed = elapsed

    def _train_step(self, forward: Forward) -> dict[str, float] | None:
        """One step; every tenth reads back what it shows."""
        config = self.recipe.train
        loss = self.task.loss(forward, self.progress)
        factor = learning_rate_factor(self.progress, self.step, config, self.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * factor * group["lr_scale"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        for parameter in self.model.parameters():
            if parameter.grad is not None:  # one bad batch must not end a run of hours; no `if` on values, which waits
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)
        self.optimizer.step()
        self._update_ema()
        self.step += 1
        self.patches += loss.pictures * self.world
        if self.step % 10:
            return None  # reading a number back would stall a GPU
        return {"loss": loss.value.item()} | {k: v.item() for k, v in loss.shown.items()}

    @torch.no_grad()
    def _update_ema(self) -> None:
        keep = min(self.recipe.train.ema, (1 + self.step) / (10 + self.step))
        averaged: list[Tensor] = list(self.ema.parameters())
        torch._foreach_lerp_(averaged, list(self.model.parameters()), 1 - keep)
        for mine, theirs in zip(self.ema.buffers(), self.model.buffers(), strict=True):
            mine.copy_(theirs)  # statistics of batch normalisation: averages already

    # -- parts ---------------------------------------------------------------------------------------------------

    def _warn(self, message: str) -> None:
        self._console.print(f"caecodec: warning: {message}", soft_wrap=True, highlight=False)

    def _bar(self) -> Progress:
        quiet = self.rank != 0 or not self._console.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        times = (TextColumn("{task.fields[status]}"), TimeElapsedColumn(), TimeRemainingColumn())
        return Progress(*columns, *times, console=self._console, disable=quiet)

    def _summary(self, window: list[dict[str, float]]) -> dict[str, Any]:
        means = {key: round(sum(row[key] for row in window) / len(window), 4) for key in window[0]}
        # wall-clock of the window, not of the run: shows at once what starves the machine
        now = time.monotonic()
        since, patches = self._window_start
        self._window_start = now, self.patches
        rate = (self.patches - patches) / (now - since)
        factor = learning_rate_factor(self.progress, self.step, self.recipe.train, self.schedule)
        lr = self.recipe.train.lr * factor
        return {"kind": "train"} | means | {"patches_per_s": round(rate, 1), "lr": lr} | self.task.status()

    def _log(self, record: dict[str, Any]) -> None:
        if self.rank:
            return
        where = {"step": self.step, "minutes": round(self.elapsed / 60, 2), "patches": self.patches}
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(where | record) + "\n")
        if not self._console.is_terminal and (record["kind"] == "validation" or self.step % 500 == 0):
            self._console.print(json.dumps(where | record), soft_wrap=True, highlight=False)


def _load_state(path: Path, device: torch.device) -> dict[str, Any]:
    """A checkpoint of ours; raises ValueError, or FileNotFoundError."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return state | {key: state[key] for key in ("ema", "step", "elapsed", "patches", "history")}
    except FileNotFoundError:
        raise
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as exc:
        raise ValueError(f"{path}: not a whole checkpoint of caecodec") from exc


def _is_large(name: str, value: Tensor) -> bool:
    """Weights that 11 bits are enough for: not tables, nor the linear branches, which carry the picture itself."""
    return value.ndim == 4 or (value.numel() >= 1 << 17 and ".linear." not in name)


def _status(record: dict[str, Any]) -> str:
    parts = {"bpp": "{:.3f} bpp", "psnr": "{:.2f} dB", "patches_per_s": "{:.0f} patches/s"}
    shown = [text.format(record[key]) for key, text in parts.items() if key in record]
    return "  ".join((f"loss {record['loss']:.3f}", *shown))


def _optimizer(
    model: nn.Module, config: TrainConfig, scales: dict[str, float], turn_in: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = [{"params": [], "lr_scale": s} for s in sorted({1.0, *scales.values()})]
    by_scale = {group["lr_scale"]: group["params"] for group in groups}
    for name, parameter in model.named_parameters():
        by_scale[scales.get(name, 1.0)].append(parameter)
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "soap":
        return SOAP(groups, lr=config.lr, every=config.precondition_every, turn_in=turn_in)
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
    branch: Path | None = None,
    schedule: str | None = None,
    decoder_only: bool = False,
    drawn: bool = False,
    without: str = "",
    device: str | None = None,
    compile_model: bool | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """What `caecodec train` does. Raises UsageError for a recipe, folder or data that will not do."""
    try:
        recipe = load_recipe(name, drawn=drawn)
        recipe = replace(recipe, data=_data_of(recipe.data, train_data, validation, without))
        if decoder_only:
            recipe = replace(recipe, train=recipe.train.finishing())
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        folder = folder or Path("runs") / recipe.name
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("no CUDA device is available to this torch; use --device cpu")
        if resume + (start is not None) + (branch is not None) > 1:
            raise UsageError("--resume continues a run, --from and --branch start one: give one of them")
        if resume and schedule is not None:
            raise UsageError("--resume keeps the schedule that the run has; --branch begins another")
        if schedule == "decay" and branch is None:
            raise UsageError("--schedule decay ends a run that stands: name its checkpoint with --branch")
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
            schedule=schedule or "whole",
        )
        if resume:
            trainer.resume()
        elif branch is not None:
            trainer.branch_from(branch)
        elif start is not None:
            trainer.start_from(start)
        return trainer.run()
    except (FileNotFoundError, ValueError) as exc:
        raise UsageError(str(exc)) from exc


def _data_of(
    data: PictureData | SetData, train: Sequence[str], validation: Sequence[str], without: str
) -> PictureData | SetData:
    """A recipe's data, or what the options name in their place. Raises ValueError."""
    if isinstance(data, PictureData):
        if without:
            raise ValueError("--without leaves out a class of a data set; photographs have none")
        if train:
            data = replace(data, train=tuple(train))
        return replace(data, validation=tuple(validation)) if validation else data
    if validation:
        raise ValueError("a data set's validation pictures are held out of its training split: leave --validation out")
    data = replace(data, without=without)
    if not train:
        return data
    if len(data.sets) == 1 and len(train) == 1 and not train[0].startswith(f"{data.sets[0]}="):
        return replace(data, paths=(train[0],))
    named = dict(part.split("=", 1) for part in train if "=" in part)
    if named.keys() != set(data.sets) or len(train) != len(data.sets):
        raise ValueError("name every data set: " + " ".join(f"--data {name}=PATH" for name in data.sets))
    return replace(data, paths=tuple(named[name] for name in data.sets))
