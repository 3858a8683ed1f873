"""What the training loop needs to know of a family of models, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from caecodec.engines.torch.device import fast_bfloat16
from caecodec.models.training.progress import Teller

Forward = Callable[..., dict[str, Tensor]]
VALIDATION_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process of a run stands: device, its number of all, the seed that is its own, and who speaks for it.

    `compiled`: whether the model is, and what costs much beside it should be.
    """

    device: torch.device
    rank: int
    world: int
    seed: int
    teller: Teller
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """One batch: the loss to go down, what the log shows of it (scalars), and how many pictures it was."""

    value: Tensor
    shown: dict[str, Tensor]
    pictures: int


class Task(Protocol):
    """A recipe's model, data and loss. Made of a recipe and a place, and whether to leave the encoder as it is."""

    optimizer_dtype: torch.dtype  # that of SOAP's products

    def new_model(self) -> nn.Module:
        """Fresh weights."""
        ...

    def prepare(self) -> None:
        """Read the data, or begin to. Raises FileNotFoundError, ValueError."""
        ...

    def initialise(self, model: nn.Module) -> None:
        """Start fresh weights from the data. Called on every process."""
        ...

    def continued(
        self, weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]
    ) -> tuple[Mapping[str, Tensor], bool]:
        """Weights of a checkpoint and fresh ones of this recipe's model -> what it begins with.

        The second: whether some of them still have to start from the data (`initialise`). Raises ValueError where the
        two do not fit.
        """
        ...

    def lr_scales(self) -> dict[str, float]:
        """Parameters that learn at another rate than the others: name -> factor."""
        ...

    def steps_per_validation(self) -> int:
        """Validate so often; 0: by the clock, every `validation_minutes`."""
        ...

    def total_steps(self) -> int:
        """Steps of a run that has no time limit."""
        ...

    def reseed(self, seed: int) -> None:
        """Draw other batches than before: for a run that goes on."""
        ...

    def loss(self, forward: Forward, progress: float) -> Loss:
        """Draw a batch and pass it through the model."""
        ...

    def status(self) -> dict[str, Any]:
        """More for the log."""
        ...

    def measure_norms(self, model: nn.Module) -> None:
        """Measure again, for averaged weights, what batch normalisation keeps of the data."""
        ...

    def validate(self, model: nn.Module) -> dict[str, Any]:
        """A record of how good averaged weights are; its `score` is the lower the better."""
        ...

    def close(self, model: nn.Module, folder: Path, *, draw: bool) -> None:
        """End what `prepare` began; draw pictures of what the model does into the run folder."""
        ...


def levels(batch: int, device: torch.device) -> Tensor:
    """Levels (B,) in [0, 1], one from each of B equal parts: every step sees low and high rates."""
    return (torch.arange(batch, device=device) + torch.rand(batch, device=device)) / batch


def product_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the machine has it: a CPU that has not takes five to ten times as long as in float32."""
    return torch.bfloat16 if fast_bfloat16(device) else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Products in `product_dtype`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=product_dtype(device) == torch.bfloat16)
