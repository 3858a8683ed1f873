"""The training loop: one for every model, on a CPU, a GPU, or several through torchrun.

A run folder holds `recipe.toml`, `metrics.jsonl`, `checkpoint.pt` (weights, averages, optimiser, progress; replaced
atomically), `weights.pt`, at the end `curve.png`, and `held-out.txt` where pictures to validate on were chosen from
those to train on. Schedules go by progress in 0..1, the share of the minutes or steps asked for, so that a run of any
length ends with its learning rate at zero.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from caecodec.models import families
from caecodec.models.data import holdout
from caecodec.models.networks import layers
from caecodec.models.training import checkpoint
from caecodec.models.training.checkpoint import FIRST_SECONDS, Run, State
from caecodec.models.training.curve import draw_curve
from caecodec.models.training.pauses import Pause
from caecodec.models.training.progress import Teller
from caecodec.models.training.recipe import PictureData, Recipe, TrainConfig
from caecodec.models.training.soap import SOAP
from caecodec.models.training.task import Forward, Place, Task

STEPS_PER_READING = 10  # of what a step shows: a GPU would wait for every number
STEPS_PER_RECORD = 100
STEPS_PER_CLOCK = 10  # by which several ranks agree on the time: each of them waits for the first


def learning_rate_factor(progress: float, step: int, config: TrainConfig, schedule: str = "whole") -> float:
    """Linear warm-up over `warmup_steps`, constant until `decay_from`, then linear to zero.

    schedule: "whole" is that; "constant" leaves the end out, and "decay" is the end alone.
    """
    warm = 1.0 if schedule == "decay" else min(1.0, (step + 1) / max(1, config.warmup_steps))
    if schedule == "constant":
        return warm
    start = 0.0 if schedule == "decay" else config.decay_from
    return warm * min(1.0, max(0.0, (1 - progress) / (1 - start)))


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
        teller: Teller | None = None,
    ) -> None:
        """teller: says what goes on; without it warnings only. Raises ValueError for a recipe that will not do."""
        place_of, rank, world = _processes(device)
        self.run = Run(recipe, folder, decoder_only, place_of, world)
        base_seed = (recipe.train.seed if seed is None else seed) * 1000
        torch.manual_seed(base_seed)  # the same weights on every rank
        self._rng_seed = base_seed + rank + 1
        self.teller = teller or Teller(recipe.name, quiet=True)
        self._rank, self._world = rank, world
        make_task = families.part(families.family(recipe.family).task)
        place = Place(place_of, rank, world, base_seed + rank, self.teller, compile_model)
        self.task: Task = make_task(recipe, place, decoder_only=decoder_only)
        model = layers.channels_last(self.task.new_model().to(place_of))
        averaged = layers.channels_last(self.task.new_model().to(place_of)).eval()
        optimizer = _optimizer(model, recipe.train, self.task.lr_scales(), self.task.optimizer_dtype)
        self.state = State(model, averaged, optimizer, minutes, schedule)
        self._compile = compile_model
        self._to_initialise = True  # from the data
        self._ended = False  # by patience
        self._window: list[dict[str, float]] = []  # what steps showed since the last record
        now = time.monotonic()
        self._window_start = now, 0  # seconds, patches
        self._clock = now  # when this run would have begun, had it never stopped

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        state = self.state
        if state.minutes is None and state.schedule == "constant":
            return 0.0  # until it is stopped
        if state.minutes is not None:
            return min(1.0, state.elapsed / (60 * state.minutes))
        return min(1.0, state.step / self.task.total_steps())

    # -- where it begins -----------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Continue this folder's own run where its checkpoint stopped. Raises ValueError where it does not fit."""
        checkpoint.resume(self.run, self.state)
        self._to_initialise = False
        self.task.reseed(self._rng_seed + 1000 * self.state.step)

    def branch_from(self, path: Path) -> None:
        """Begin another schedule where another run of the same recipe stands, its optimiser's state and all."""
        checkpoint.branch(self.run, self.state, path)
        self._to_initialise = False
        self.task.reseed(self._rng_seed + self.state.patches)

    def start_from(self, path: Path) -> None:
        """Begin a new schedule from the averaged weights of another run."""
        self._to_initialise = checkpoint.start(self.run, self.state, path, self.task)

    # -- the loop ------------------------------------------------------------------------------------------------

    def train(self) -> dict[str, Any]:
        """Train to the end of the schedule and return the last validation record."""
        state = self.state
        config = self.run.recipe.train
        saving = Pause(config.checkpoint_minutes, time.monotonic(), first=FIRST_SECONDS)
        self._prepare()
        forward = self._forward()
        begun, first = time.monotonic(), state.step
        self._window_start, self._clock = (begun, state.patches), begun - state.elapsed
        validating = Pause(config.validation_minutes, begun)
        self.teller.doing("first steps" + (", the first of them compiled" if self._compile else ""))
        while self.progress < 1 and not self._ended:
            self._step(forward)
            if state.step == first + STEPS_PER_READING:
                self.teller.doing("training")
            # on one rank: the others would only compute the same and throw it away
            if self._rank == 0 and self._validation_due(validating):
                since = time.monotonic()
                self._validate()
                validating.done(since, time.monotonic())
                self.teller.doing("training")
            if self._rank == 0 and saving.due(now := time.monotonic()):
                self.save()
                saving.done(now, time.monotonic())
        return self._finish()

    def save(self) -> None:
        """Write the whole state, on the first rank. What is learnt does not hang on when that is."""
        if self._rank == 0:
            own = [self.run.device] if self.run.device.type == "cuda" else []
            with torch.random.fork_rng(own):
                self.task.measure_norms(self.state.averaged)  # what is exported from it must be sound at any time
            checkpoint.save(self.run, self.state)

    def validate(self) -> dict[str, Any]:
        """How good the averaged weights are; with patience, whether to go on."""
        state = self.state
        self.task.measure_norms(state.averaged)
        state.validation = {"kind": "validation"} | self.task.validate(state.averaged)
        if self.run.recipe.train.patience:
            if state.best is None or state.validation["score"] < state.best["validation"]["score"]:
                weights = {k: v.detach().clone() for k, v in state.averaged.state_dict().items()}
                state.best, state.waited = {"ema": weights, "validation": state.validation}, 0
            else:
                state.waited += 1
            if self._world == 1:
                self._ended = state.waited >= self.run.recipe.train.patience
        return state.validation

    def _prepare(self) -> None:
        run, state = self.run, self.state
        if self._rank == 0:
            self._begin_folder()
        self.task.prepare()
        if self._to_initialise:
            self.teller.doing("starting weights from the data")
            self.task.initialise(state.model)
            state.averaged.load_state_dict(state.model.state_dict())
        if not run.checkpoint.exists():
            self.save()
        torch.manual_seed(self._rng_seed + 1000 * state.step)

    def _begin_folder(self) -> None:
        run = self.run
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / "recipe.toml").write_text(run.recipe.text, encoding="utf-8")
        data = run.recipe.data
        if isinstance(data, PictureData) and data.held_out:
            holdout.write(data.held_out, run.folder)
            if not data.validation:
                self.teller.say(holdout.told(data.held_out, run.folder))

    def _forward(self) -> Forward:
        """The model, compiled and on several processes where that is asked for."""
        forward: Forward = self.state.model
        if self._compile:
            forward = torch.compile(self.state.model, dynamic=False)
        if self._world > 1:
            forward = nn.parallel.DistributedDataParallel(forward)
        return forward

    def _finish(self) -> dict[str, Any]:
        state = self.state
        self._validate()
        if state.best is not None:  # patience: the best of all, not the last
            state.averaged.load_state_dict(state.best["ema"])
            state.validation = state.best["validation"]
        self.save()
        self.task.close(state.averaged, self.run.folder, draw=self._rank == 0)
        if self._rank == 0:
            draw_curve(self.run.folder)
        return state.validation

    def _validation_due(self, by_the_clock: Pause) -> bool:
        every = self.task.steps_per_validation()
        if every:
            return self.state.step % every == 0
        return by_the_clock.due(time.monotonic())

    def _validate(self) -> None:
        self.teller.doing("validating")
        record = self.validate()
        self._log(record)
        shown = ", ".join(f"{key} {value}" for key, value in record.items() if key != "kind")
        self.teller.say(f"step {self.state.step}, {self.state.patches} patches: {shown}")

    def _step(self, forward: Forward) -> None:
        """One step, and what is to be told and logged of it."""
        if (values := self._learn(forward)) is not None:
            self._window.append(values)
        self._tick()
        self.teller.at(self.progress, self._status())
        if self.state.step % STEPS_PER_RECORD == 0:
            self._log(self._summary())
            self._window.clear()

    def _learn(self, forward: Forward) -> dict[str, float] | None:
        """Move the weights; every tenth step reads back what it shows."""
        state, config = self.state, self.run.recipe.train
        loss = self.task.loss(forward, self.progress)
        for group in state.optimizer.param_groups:
            group["lr"] = self._learning_rate() * group["lr_scale"]
        state.optimizer.zero_grad(set_to_none=True)
        loss.value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
        for parameter in state.model.parameters():
            if parameter.grad is not None:  # one bad batch must not end a run of hours; no `if` on values, which waits
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)
        state.optimizer.step()
        self._average()
        state.step += 1
        state.patches += loss.pictures * self._world
        if state.step % STEPS_PER_READING:
            return None
        return {"loss": loss.value.item()} | {k: v.item() for k, v in loss.shown.items()}

    def _learning_rate(self) -> float:
        config = self.run.recipe.train
        return config.lr * learning_rate_factor(self.progress, self.state.step, config, self.state.schedule)

    @torch.no_grad()
    def _average(self) -> None:
        state = self.state
        keep = min(self.run.recipe.train.ema, (1 + state.step) / (10 + state.step))
        averaged: list[Tensor] = list(state.averaged.parameters())
        torch._foreach_lerp_(averaged, list(state.model.parameters()), 1 - keep)
        for mine, theirs in zip(state.averaged.buffers(), state.model.buffers(), strict=True):
            mine.copy_(theirs)  # statistics of batch normalisation: averages already

    def _tick(self) -> None:
        """Move `elapsed` on, by which the schedule goes.

        Several ranks share one clock: they must leave the loop after the same step, and equal gradients keep equal
        weights only under equal learning rates.
        """
        if self._world > 1 and self.state.step % STEPS_PER_CLOCK:
            return
        elapsed = time.monotonic() - self._clock
        if self._world > 1:
            ended = self.state.waited >= self.run.recipe.train.patience > 0
            shared = torch.tensor((elapsed, float(ended)), dtype=torch.float64, device=self.run.device)
            dist.broadcast(shared, 0)
            elapsed, self._ended = float(shared[0].item()), bool(shared[1].item())
        self.state.elapsed = elapsed

    # -- what is told and logged ---------------------------------------------------------------------------------

    def _rate(self) -> float:
        """Patches a second on the clock of the wall since the last record: shows at once what starves the machine."""
        since, patches = self._window_start
        return (self.state.patches - patches) / max(1e-9, time.monotonic() - since)

    def _status(self) -> str:
        last = self._window[-1] if self._window else {}
        units = {"loss": "loss {:.3f}", "bpp": "{:.3f} bpp", "psnr": "{:.2f} dB"}
        shown = [text.format(last[key]) for key, text in units.items() if key in last]
        return ", ".join((f"step {self.state.step}", f"{self._rate():.1f} patches/s", *shown))

    def _summary(self) -> dict[str, Any]:
        means = {key: round(sum(row[key] for row in self._window) / len(self._window), 4) for key in self._window[0]}
        rate = round(self._rate(), 1)
        self._window_start = time.monotonic(), self.state.patches
        return {"kind": "train"} | means | {"patches_per_s": rate, "lr": self._learning_rate()} | self.task.status()

    def _log(self, record: dict[str, Any]) -> None:
        if self._rank == 0:
            state = self.state
            where = {"step": state.step, "minutes": round(state.elapsed / 60, 2), "patches": state.patches}
            with (self.run.folder / "metrics.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(where | record) + "\n")


def _processes(device: str) -> tuple[torch.device, int, int]:
    """Device of this process, its number and that of all, by what torchrun says; they are joined here."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    if device != "cuda":
        return torch.device(device), rank, world
    own = torch.device(device, int(os.environ.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(own)
    # SSIMULACRA2 takes small variances as differences of blurred squares: in TF32 nothing of them is left, and training
    # follows noise. What is heavy is in bfloat16 anyway.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return own, rank, world


def _optimizer(
    model: nn.Module, config: TrainConfig, scales: dict[str, float], turn_in: torch.dtype
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
