"""What the training loop needs to know of a family of models, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Forward = Callable[..., dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process of a run stands: its device, its number of all, and the seed that is its own."""

    device: torch.device
    rank: int
    world: int
    seed: int
    warn: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loss:
    """One batch: the loss to go down, what the log shows of it (scalars), and how many pictures it was."""

    value: Tensor
    shown: dict[str, Tensor]
    pictures: int


class Task(Protocol):
    """A recipe's model, data and loss."""

    def new_model(self) -> nn.Module:
        """Fresh weights."""
        ...

    def prepare(self) -> None:
        """Read the data, or begin to. Raises FileNotFoundError, ValueError."""
        ...

    def initialise(self, model: nn.Module) -> None:
        """Start fresh weights from the data. Called on every process."""
        ...

    def lr_scales(self) -> dict[str, float]:
        """Parameters that learn at another rate than the others: name -> factor."""
        ...

    def steps_per_validation(self) -> int:
        """Validate so often; 0: by the clock, with every checkpoint."""
        ...

    def total_steps(self) -> int:
        """Steps of a run that has no time limit."""
        ...

    def reseed(self, seed: int) -> None:
        """Draw other batches than before: for a run that goes on."""
        ...

    def loss(self, forward: Forward, progress: float) -> Loss:
        """Draw a batch and run the model on it."""
        ...

    def status(self) -> dict[str, Any]:
        """More for the log."""
        ...

    def settle(self, model: nn.Module) -> None:
        """Measure again, for averaged weights, what batch normalisation keeps of the data."""
        ...

    def validate(self, model: nn.Module) -> dict[str, Any]:
        """A record of how good averaged weights are; its `score` is the lower the better."""
        ...

    def close(self, model: nn.Module, folder: Path, *, draw: bool) -> None:
        """End what `prepare` began; draw pictures of what the model does into the run folder."""
        ...
